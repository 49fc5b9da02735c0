package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stilelock/stile"
)

const leastInterval = 50 * time.Millisecond

// The events of a change.
const (
	eventHeld    = "held"    // it was granted
	eventWaiting = "waiting" // it stands in line
	eventEnded   = "ended"   // a lease is over
	eventLeft    = "left"    // a waiter has left the line
)

// A change is one difference between two looks at the store.
type change struct {
	At    time.Time     `json:"at"`
	Event string        `json:"event"`
	Key   string        `json:"key"`
	ID    stile.LeaseID `json:"id"`
	Owner string        `json:"owner"`
	Mode  stile.Mode    `json:"mode"`
	Token uint64        `json:"token,string,omitempty"`
}

func newWatch(e *env) *cobra.Command {
	var asJSON bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "watch [PREFIX]",
		Short: "Print what changes",
		Long: "Print a line for each change: who holds, who waits, whose lease has ended, who has left the line. It looks\n" +
			"at the store once per interval, so what comes and goes in between is not seen. It begins with what is\n" +
			"there, and ends when it is interrupted. With --json: one object per line.",
		Args: arguments(0, 1),
	}
	store := addStoreFlag(cmd, e)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object per line")
	cmd.Flags().DurationVar(&interval, "interval", time.Second, "how often to look at the store")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if interval < leastInterval {
			return usagef("interval %v is too short: at least %v", interval, leastInterval)
		}
		prefix := ""
		if len(args) == 1 {
			prefix = args[0]
		}
		return store.use(cmd.Context(), func(ctx context.Context, locks *stile.Locker) error {
			return watch(ctx, e, locks, prefix, interval, asJSON)
		})
	}
	return cmd
}

func watch(ctx context.Context, e *env, locks *stile.Locker, prefix string, interval time.Duration, asJSON bool) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var before []stile.State
	for {
		after, err := snapshot(ctx, locks, prefix)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case errors.Is(err, stile.ErrUnavailable):
			fmt.Fprintf(e.stderr, "stile: %s; still watching\n", oneLine(err.Error()))
		case err != nil:
			return err
		default:
			for _, c := range differences(before, after, time.Now()) {
				if err := writeChange(e, &c, asJSON); err != nil {
					return fmt.Errorf("write change: %w", err)
				}
			}
			before = after
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// An attemptRef tells attempts of different keys apart.
type attemptRef struct {
	key string
	id  stile.LeaseID
}

// differences compares two looks: first what has ended, then what is new, each
// in the order of the keys and of the line. A waiter that was granted is new.
func differences(before, after []stile.State, at time.Time) []change {
	was, is := changes(before, at), changes(after, at)
	wasEvent, isEvent := events(was), events(is)
	var found []change
	for _, old := range was {
		if isEvent[attemptRef{old.Key, old.ID}] != "" {
			continue
		}
		switch old.Event {
		case eventHeld:
			old.Event = eventEnded
		case eventWaiting:
			old.Event = eventLeft
		}
		found = append(found, old)
	}
	for _, c := range is {
		if wasEvent[attemptRef{c.Key, c.ID}] != c.Event {
			found = append(found, c)
		}
	}
	return found
}

// changes lists what a look has found, as if all of it were new.
func changes(states []stile.State, at time.Time) []change {
	var all []change
	for i := range states {
		key := states[i].Key
		for _, h := range states[i].Holders {
			all = append(all, change{At: at, Event: eventHeld, Key: key, ID: h.ID, Owner: h.Owner, Mode: h.Mode, Token: h.Token})
		}
		for _, w := range states[i].Waiters {
			all = append(all, change{At: at, Event: eventWaiting, Key: key, ID: w.ID, Owner: w.Owner, Mode: w.Mode})
		}
	}
	return all
}

func events(list []change) map[attemptRef]string {
	found := make(map[attemptRef]string, len(list))
	for i := range list {
		found[attemptRef{list[i].Key, list[i].ID}] = list[i].Event
	}
	return found
}

func writeChange(e *env, c *change, asJSON bool) error {
	if asJSON {
		return writeJSON(e.stdout, c)
	}
	token := ""
	if c.Token != 0 {
		token = fmt.Sprintf(" token %d", c.Token)
	}
	_, err := fmt.Fprintf(e.stdout, "%s %-7s %s %s %s%s %s\n",
		c.At.Local().Format("15:04:05.000"), c.Event, clean(c.Key), c.Mode, clean(c.Owner), token, c.ID)
	return err
}
