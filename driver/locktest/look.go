package locktest

import (
	"context"
	"fmt"
	"slices"

	"github.com/stilelock/stile/driver"
)

// list returns what List yields, with a bounded context.
func (w *world) list(d driver.Driver, prefix string) []driver.State {
	w.Helper()
	states, err := w.listBy(d, prefix)
	if err != nil {
		w.Fatalf("List of prefix %q: %v", prefix, err)
	}
	return states
}

func (w *world) listBy(d driver.Driver, prefix string) (states []driver.State, err error) {
	var listed []driver.State
	err = w.ask(2*w.slack, "List", func(ctx context.Context) (err error) {
		listed, err = listAll(ctx, d, prefix)
		return err
	})
	if err != nil {
		return nil, err // The call may be at work still.
	}
	return listed, nil
}

func listAll(ctx context.Context, d driver.Driver, prefix string) ([]driver.State, error) {
	var states []driver.State
	for state, err := range d.List(ctx, prefix) {
		if err != nil {
			return states, err
		}
		states = append(states, state)
	}
	return states, nil
}

// state returns the state of one key, less what the kind of key keeps held;
// ok is false if the store lists nothing else of it.
func (w *world) state(d driver.Driver, key string) (state driver.State, ok bool) {
	w.Helper()
	for _, s := range w.list(d, key) {
		if s.Key != key {
			continue
		}
		if ok {
			w.Fatalf("List yields key %q twice", key)
		}
		if primer := w.primed[key]; primer != nil {
			s.Holders = slices.DeleteFunc(s.Holders, func(h driver.Holder) bool { return h.ID == primer.req.ID })
		}
		state, ok = s, len(s.Holders)+len(s.Waiters) > 0
	}
	return state, ok
}

// line returns the ids of those who wait.
func (w *world) line(d driver.Driver, key string) []driver.LeaseID {
	w.Helper()
	state, _ := w.state(d, key)
	return waiterIDs(&state)
}

func waiterIDs(s *driver.State) []driver.LeaseID {
	var ids []driver.LeaseID
	for i := range s.Waiters {
		ids = append(ids, s.Waiters[i].ID)
	}
	return ids
}

func holderIDs(s *driver.State) []driver.LeaseID {
	var ids []driver.LeaseID
	for i := range s.Holders {
		ids = append(ids, s.Holders[i].ID)
	}
	return ids
}

// wantLine checks that exactly ids stand in line, in that order. An attempt
// joins the line in its own time, so this waits for those who are missing. It
// does not wait for anybody to leave: who was withdrawn is gone.
func (w *world) wantLine(key string, ids ...driver.LeaseID) {
	w.Helper()
	var line []driver.LeaseID
	w.until(fmt.Sprintf("%d attempts stand in line for key %q", len(ids), key), func() bool {
		w.Helper()
		line = w.line(w.client(), key)
		return len(line) >= len(ids)
	})
	if !slices.Equal(line, ids) {
		w.Fatalf("the line of key %q is %v; want %v", key, line, ids)
	}
}

// wantHolders ends the case unless exactly these hold the key, now.
func (w *world) wantHolders(key string, leases ...*lease) {
	w.Helper()
	state, _ := w.state(w.client(), key)
	var want []driver.LeaseID
	for _, l := range leases {
		want = append(want, l.req.ID)
	}
	if got := holderIDs(&state); !slices.Equal(got, want) {
		w.Fatalf("key %q is held by %v; want %v", key, got, want)
	}
}

// wantNothing ends the case if anybody holds or waits for the key, now.
func (w *world) wantNothing(key string) {
	w.Helper()
	if state, ok := w.state(w.client(), key); ok {
		w.Fatalf("key %q should be unused, but %d hold it and %d wait for it: %+v", key, len(state.Holders), len(state.Waiters), state)
	}
}

// holder returns what List says of a lease.
func (w *world) holder(l *lease) driver.Holder {
	w.Helper()
	state, _ := w.state(w.client(), l.req.Key)
	for _, h := range state.Holders {
		if h.ID == l.req.ID {
			return h
		}
	}
	w.Fatalf("List does not show the holder %v of key %q", l.req.ID, l.req.Key)
	return driver.Holder{}
}
