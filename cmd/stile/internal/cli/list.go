package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stilelock/stile"
)

func newList(e *env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ls [PREFIX]",
		Short: "List the keys in use",
		Long:  "List the keys that somebody holds or waits for, whose names begin with PREFIX. With --json: an array.",
		Args:  arguments(0, 1),
	}
	store := addStoreFlag(cmd, e)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		prefix := ""
		if len(args) == 1 {
			prefix = args[0]
		}
		return store.use(cmd.Context(), func(ctx context.Context, locks *stile.Locker) error {
			states, err := snapshot(ctx, locks, prefix)
			switch {
			case err != nil:
				return err
			case asJSON:
				return writeJSON(e.stdout, states)
			default:
				return writeTable(e, states)
			}
		})
	}
	return cmd
}

// snapshot reads the states of all keys with that prefix. It is never nil, so
// that its JSON is an array.
func snapshot(ctx context.Context, locks *stile.Locker, prefix string) ([]stile.State, error) {
	states := []stile.State{}
	for state, err := range locks.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list keys: %w", err)
		}
		states = append(states, state)
	}
	return states, nil
}

func writeTable(e *env, states []stile.State) error {
	if len(states) == 0 {
		return nil
	}
	now := time.Now()
	table := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KEY\tHELD\tWAITING\tHOLDER\tSINCE\tUNTIL")
	for i := range states {
		s := &states[i]
		holder, since, end := "-", "-", "-"
		if len(s.Holders) > 0 {
			first := &s.Holders[0]
			holder, since, end = clean(first.Owner), when(first.Since, now), until(first, now)
		}
		held := fmt.Sprintf("%d/%d", len(s.Holders), s.Limit)
		if len(s.Holders) > 0 && s.Holders[0].Mode == stile.Shared {
			held = fmt.Sprintf("%d shared", len(s.Holders))
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\n", clean(s.Key), held, len(s.Waiters), holder, since, end)
	}
	return table.Flush()
}
