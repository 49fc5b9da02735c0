package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stilelock/stile"
)

func newShow(e *env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show KEY",
		Short: "Show who holds a key and who waits",
		Long:  "Show who holds a key, since when and until when, and who waits for it. A free key is shown as free.",
		Args:  arguments(1, 1),
	}
	store := addStoreFlag(cmd, e)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return store.use(cmd.Context(), func(ctx context.Context, locks *stile.Locker) error {
			state, err := locks.Get(ctx, args[0])
			switch {
			case err != nil:
				return err
			case asJSON:
				return writeJSON(e.stdout, state)
			case len(state.Holders)+len(state.Waiters) == 0:
				fmt.Fprintf(e.stdout, "%s\n  free\n", clean(state.Key))
				return nil
			default:
				return writeState(e.stdout, &state, time.Now())
			}
		})
	}
	return cmd
}
