package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
)

func newBreak(e *env) *cobra.Command {
	var now bool
	cmd := &cobra.Command{
		Use:   "break KEY LEASE_ID",
		Short: "End somebody's lease",
		Long: "End somebody's lease. It cannot be renewed any more and its holder is told; the key passes on when the\n" +
			"holder has stopped, at the latest when the lease expires. `stile show KEY` names the lease ids.\n\n" +
			"With --now the key passes on at once, though the holder may still be at work: two may then work at the\n" +
			"same time, and only the fencing token tells them apart.",
		Args: arguments(2, 2),
	}
	store := addStoreFlag(cmd, e)
	cmd.Flags().BoolVar(&now, "now", false, "do not wait until the holder has stopped")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key := args[0]
		id, err := driver.ParseLeaseID(args[1])
		if err != nil {
			return err
		}
		return store.use(cmd.Context(), func(ctx context.Context, locks *stile.Locker) error {
			return breakLease(ctx, e, locks, key, id, now)
		})
	}
	return cmd
}

func breakLease(ctx context.Context, e *env, locks *stile.Locker, key string, id stile.LeaseID, now bool) error {
	how := stile.BreakGently
	if now {
		how = stile.BreakNow
	}
	err := locks.Break(ctx, key, id, how)
	if errors.Is(err, stile.ErrLost) {
		return &exitError{exitLost, fmt.Errorf("key %q has no lease %s; see stile show", key, id)}
	}
	if err != nil {
		return err
	}
	state, err := locks.Get(ctx, key)
	if err != nil {
		fmt.Fprintln(e.stdout, "broken")
		return nil //nolint:nilerr // It is broken; only the look afterwards failed.
	}
	for i := range state.Holders {
		if h := &state.Holders[i]; h.ID == id {
			at := time.Now()
			fmt.Fprintf(e.stdout, "broken: the key passes on when %s has stopped, at the latest at %s (in %s)\n",
				clean(h.Owner), when(h.Expires, at), span(h.Expires.Sub(at)))
			return nil
		}
	}
	if now {
		fmt.Fprintln(e.stdout, "broken: the key has passed on; the old holder may still be at work")
		return nil
	}
	fmt.Fprintln(e.stdout, "broken: its holder has stopped, and the key has passed on")
	return nil
}
