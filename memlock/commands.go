package memlock

import (
	"slices"
	"strings"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

func (s *store) acquire(req *driver.Request) (wait *waiter, token uint64, err error) {
	attempt := lockqueue.NewAttempt(req)
	attempt.WaiterTTL = forever
	s.mu.Lock()
	defer s.mu.Unlock()
	result, now, err := s.run(req.Key, func(view lockqueue.View, now lockqueue.Now) (lockqueue.Result, error) {
		return lockqueue.Acquire(view, now, &attempt)
	})
	if err != nil {
		return nil, 0, err
	}
	if err := result.Err(req.Key, req.Limit, now); err != nil {
		// Of an attempt that is refused nothing stays in line, whoever waits for it.
		s.wake(&lockqueue.Entry{ID: req.ID}, driver.ErrLost)
		return nil, 0, err
	}
	if result.Status == lockqueue.Granted {
		return nil, result.Entry.Token, nil
	}
	wait = s.waiters[req.ID]
	if wait == nil {
		wait = &waiter{done: make(chan struct{})}
		s.waiters[req.ID] = wait
	}
	wait.calls++
	return wait, 0, nil
}

// leaveLine ends one call's wait. It reports whether nothing is left of the
// call: the attempt is out of line, or others wait for it. It is false when
// the end of the wait came first.
func (s *store) leaveLine(req *driver.Request, w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.calls--
	select {
	case <-w.done:
		return false
	default:
	}
	if w.calls == 0 {
		delete(s.waiters, req.ID)
		_, _, _ = s.run(req.Key, func(view lockqueue.View, now lockqueue.Now) (lockqueue.Result, error) {
			return lockqueue.Release(view, now, req.ID)
		})
	}
	return true
}

func (s *store) renew(h driver.Hold, ttl time.Duration) error {
	return s.command(h.Key, func(view lockqueue.View, now lockqueue.Now) (lockqueue.Result, error) {
		return lockqueue.Renew(view, now, h.ID, h.Token, lockqueue.FromDuration(ttl))
	})
}

func (s *store) release(name string, id driver.LeaseID) error {
	return s.command(name, func(view lockqueue.View, now lockqueue.Now) (lockqueue.Result, error) {
		result, err := lockqueue.Release(view, now, id)
		if err == nil && result.Status == lockqueue.OK && result.Entry.Phase == lockqueue.Waiting {
			s.wake(&result.Entry, driver.ErrLost)
		}
		return result, err
	})
}

func (s *store) breakLease(name string, id driver.LeaseID, how driver.BreakHow) error {
	err := s.command(name, func(view lockqueue.View, now lockqueue.Now) (lockqueue.Result, error) {
		return lockqueue.Break(view, now, id, how)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.nudges[id] {
		(*f)()
	}
	return nil
}

func (s *store) command(name string, command func(lockqueue.View, lockqueue.Now) (lockqueue.Result, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	result, now, err := s.run(name, command)
	if err != nil {
		return err
	}
	return result.Err(name, 0, now)
}

// nudge registers f. It is called under s.mu, so that stop can promise that no
// call comes after it; f does not block.
func (s *store) nudge(id driver.LeaseID, f func()) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nudges[id] == nil {
		s.nudges[id] = make(map[*func()]struct{})
	}
	s.nudges[id][&f] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.nudges[id], &f)
		if len(s.nudges[id]) == 0 {
			delete(s.nudges, id)
		}
	}
}

func (s *store) list(prefix string) []driver.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var states []driver.State
	for name, key := range s.keys {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if state := describe(name, key.view, now); len(state.Holders)+len(state.Waiters) > 0 {
			states = append(states, state)
		}
	}
	slices.SortFunc(states, func(a, b driver.State) int { return strings.Compare(a.Key, b.Key) })
	return states
}

func describe(name string, view *lockqueue.Memory, now lockqueue.Now) driver.State {
	record, _ := view.Key()
	state := driver.State{Key: name, Limit: record.Limit, Holders: []driver.Holder{}, Waiters: []driver.Waiter{}}
	holders, _ := view.Holders(record.Held)
	for i := range holders {
		if holders[i].Live(now) {
			state.Holders = append(state.Holders, holders[i].Holder(now))
		}
	}
	for _, waiting := range view.Line() {
		state.Waiters = append(state.Waiters, waiting.Waiter())
	}
	return state
}
