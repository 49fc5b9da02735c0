package locktest_test

import (
	"slices"
	"strings"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// list describes the keys in use.
func (s *store) list(prefix string) []driver.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var states []driver.State
	for key, memory := range s.keys {
		if !s.matches(key, prefix) {
			continue
		}
		record, _ := memory.Key()
		state := driver.State{Key: key, Limit: record.Limit}
		for _, e := range (&view{Memory: memory, store: s}).holders() {
			if e.Live(now) {
				state.Holders = append(state.Holders, s.holder(&e, now))
			}
		}
		for _, e := range memory.Line() {
			state.Waiters = append(state.Waiters, e.Waiter())
		}
		if s.has("lists the line backwards") {
			slices.Reverse(state.Waiters)
		}
		if s.has("lists every limit as 1") {
			state.Limit = 1
		}
		if len(state.Holders)+len(state.Waiters) > 0 {
			states = append(states, state)
		}
	}
	slices.SortFunc(states, func(a, b driver.State) int {
		if s.has("lists in the order of a dictionary") {
			return strings.Compare(strings.ToLower(a.Key), strings.ToLower(b.Key))
		}
		return strings.Compare(a.Key, b.Key)
	})
	switch {
	case s.has("lists 100 at most"):
		states = states[:min(100, len(states))]
	case s.has("lists a ghost"):
		states = append(states, driver.State{Key: "\U0010FFFFghost", Limit: 1})
	}
	return states
}

func (s *store) holder(e *lockqueue.Entry, now lockqueue.Now) driver.Holder {
	h := e.Holder(now)
	switch s.bug {
	case "lists every mode as exclusive":
		h.Mode = driver.Exclusive
	case "lists the first expiry":
		h.Expires = h.Since.Add(e.TTL.Duration())
	}
	return h
}

// matches reports whether a key has the prefix.
func (s *store) matches(key, prefix string) bool {
	if !s.has("prefixes are patterns") {
		return strings.HasPrefix(key, prefix)
	}
	// As LIKE without ESCAPE does, which also folds case.
	return strings.HasPrefix(strings.ToLower(key), strings.ToLower(strings.TrimRight(prefix, "%")))
}
