package model

import (
	"slices"

	"github.com/stilelock/stile/driver"
)

// A Store is a number of keys.
type Store struct {
	keys map[string]*key
	// Cut tells whom the store cannot reach: such a waiter is passed over.
	Cut map[driver.LeaseID]bool
}

// NewStore returns a store whose keys were never used.
func NewStore() *Store {
	return &Store{keys: map[string]*key{}, Cut: map[driver.LeaseID]bool{}}
}

// A key is who holds it and who waits for it.
type key struct {
	limit   int
	last    uint64 // the last token that was minted
	used    int64  // when somebody last held it or waited
	holders []lease
	line    []waiter
}

// A lease is a hold of a key that was granted.
type lease struct {
	Command
	token    uint64
	granted  int64
	expires  int64
	released bool
	broken   bool
}

// A waiter is an attempt that stands in line.
type waiter struct {
	Command
	expires int64
}

// gives returns when the lease gives way by itself.
func (l *lease) gives() int64 {
	minimum := l.granted + l.MinHold
	switch {
	case l.broken:
		return l.expires // An operator has overruled the minimum.
	case l.released:
		return minimum
	default:
		return max(l.expires, minimum)
	}
}

// live reports whether the lease can be renewed.
func (l *lease) live(now Now) bool {
	return !l.released && !l.broken && l.expires > now.Lease
}

// Run runs one command on one key.
func (s *Store) Run(now Now, name string, c Command) Result {
	k := s.keys[name]
	if k == nil {
		k = &key{}
		s.keys[name] = k
	}
	run := &run{now: now, key: k, cut: s.Cut}
	wasIdle := k.idle()
	run.command(c)
	if !wasIdle || !k.idle() {
		k.used = now.Lease
	}
	if len(k.holders) > 0 && len(k.line) > 0 {
		run.res.HasDue = true
		run.res.Due = k.line[0].expires
		for i := range k.holders {
			run.res.Due = min(run.res.Due, k.holders[i].gives())
		}
	}
	if len(run.res.Woken) == 0 {
		run.res.Woken = nil // Nobody is nobody, so that results can be compared as they are.
	}
	return run.res
}

// Forgettable reports whether a store may forget the key: it was used, it is
// idle, and both its last use and its last token are long enough ago.
func (s *Store) Forgettable(now Now, name string, retention int64) bool {
	k := s.keys[name]
	return k != nil && k.last > 0 && k.idle() &&
		now.Lease-k.used >= retention && now.Wall-int64(k.last) > retention
}

// Forget drops the key.
func (s *Store) Forget(name string) { delete(s.keys, name) }

// State returns who holds the key and who waits for it.
func (s *Store) State(name string) State {
	var state State
	k := s.keys[name]
	if k == nil {
		return state
	}
	for i := range k.holders {
		l := &k.holders[i]
		state.Holders = append(state.Holders, Lease{ID: l.ID, Token: l.token, Until: l.gives(), Released: l.released, Broken: l.broken})
	}
	for i := range k.line {
		state.Line = append(state.Line, Waiter{ID: k.line[i].ID, Until: k.line[i].expires})
	}
	return state
}

func (k *key) idle() bool { return len(k.holders) == 0 && len(k.line) == 0 }

func (k *key) lease(id driver.LeaseID) *lease {
	for i := range k.holders {
		if k.holders[i].ID == id {
			return &k.holders[i]
		}
	}
	return nil
}

func (k *key) endLease(id driver.LeaseID) {
	k.holders = slices.DeleteFunc(k.holders, func(l lease) bool { return l.ID == id })
}

func (k *key) endWaiter(id driver.LeaseID) (stood bool) {
	before := len(k.line)
	k.line = slices.DeleteFunc(k.line, func(w waiter) bool { return w.ID == id })
	return len(k.line) < before
}
