package locktest_test

import (
	"slices"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// acquire runs an attempt of a client. If it has to wait, it returns a wait.
func (s *store) acquire(client string, m *message) (reply, *wait) {
	req := m.Request.Request
	attempt := lockqueue.NewAttempt(&req)
	attempt.WaiterTTL = 1 << 60
	attempt.Addr = client
	s.mu.Lock()
	defer s.mu.Unlock()
	result, now := s.run(req.Key, func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
		if result, done := s.acquireCrookedly(v, now, &attempt); done {
			return result, nil
		}
		return lockqueue.Acquire(v, now, &attempt)
	})
	switch {
	case result.Status == lockqueue.Queued:
		w := &wait{over: make(chan struct{})}
		s.waits[req.ID] = append(s.waits[req.ID], w)
		return reply{}, w
	case result.Status == lockqueue.Busy && s.has("busy names nobody"):
		result.Holders = nil
	case result.Status == lockqueue.LimitDiffers && s.has("limit error is wrong"):
		result.Limit++
	}
	return grantOf(&result, req.Key, req.Limit, now), nil
}

func grantOf(result *lockqueue.Result, key string, limit int, now lockqueue.Now) reply {
	r := replyOf(result.Err(key, limit, now))
	r.Token = result.Entry.Token
	return r
}

// acquireCrookedly does what the bugs do to Acquire.
func (s *store) acquireCrookedly(v *view, now lockqueue.Now, a *lockqueue.Attempt) (lockqueue.Result, bool) {
	entry := lockqueue.Entry{ID: a.ID, Mode: a.Mode, TTL: a.TTL, Tokens: 1, Owner: a.Owner, Addr: a.Addr}
	key, _ := v.Key()
	known, found, _ := v.Entry(a.ID)
	grant := false
	switch s.bug {
	case "grants twice":
		grant = key.Held == 1
	case "reentrant":
		grant = slices.ContainsFunc(v.holders(), func(h lockqueue.Entry) bool { return h.Addr == a.Addr && h.ID != a.ID })
	case "grants too much to a crowd":
		grant = key.Waiting == 20
	case "readers ignore writers":
		grant = a.Mode == driver.Shared
	case "writers ignore readers":
		grant = key.Held > 0 && key.Mode == driver.Shared && a.Mode == driver.Exclusive
	case "readers barge":
		grant = key.Held > 0 && key.Mode == driver.Shared && a.Mode == driver.Shared
	case "readers make a key shared for ever":
		s.shared[v.name] = s.shared[v.name] || a.Mode == driver.Shared
		grant = s.shared[v.name]
	case "shared excludes":
		a.Mode = driver.Exclusive
	case "ignores the limit":
		if a.Limit > 1 {
			a.Limit = driver.MaxLimit
		}
	case "one permit more":
		if a.Limit > 1 {
			a.Limit++
		}
	case "last limit wins":
		if !key.Idle() {
			key.Limit = a.Limit
			_ = v.SetKey(key)
		}
	case "first limit stays":
		if key.Limit != 0 && key.Limit != a.Limit {
			return lockqueue.Result{Status: lockqueue.LimitDiffers, Limit: key.Limit}, true
		}
	case "no minimum hold":
		a.MinHold = 0
	case "blocks of one token":
		a.Tokens = 1
	case "tries join the line":
		a.NoWait = false
		result, _ := lockqueue.Acquire(v, now, a)
		if result.Status == lockqueue.Queued {
			result.Status, result.Holders = lockqueue.Busy, v.holders()
		}
		return result, true
	case "waits no longer than the ttl":
		a.WaiterTTL = a.TTL
	case "ttl counts from the request":
		a.Addr = now.Lease.Duration().String()
	case "owners are cut":
		a.Owner = a.Owner[:min(100, len(a.Owner))]
	case "metadata are dropped":
		a.Metadata = nil
	case "retry mints a new token":
		if found && known.Phase == lockqueue.Held {
			v.drop(known)
		}
	case "retry joins at the end":
		if found && known.Phase == lockqueue.Waiting {
			v.drop(known)
		}
	case "retry keeps the ttl":
		if found && known.Phase == lockqueue.Held {
			return lockqueue.Result{Status: lockqueue.Granted, Entry: known}, true
		}
	case "retry revives what was broken":
		if found && known.Phase == lockqueue.Broken {
			return lockqueue.Result{Status: lockqueue.Granted, Entry: known}, true
		}
	}
	if !grant || found {
		return lockqueue.Result{}, false
	}
	return v.addHolder(now, entry), true
}

// renew keeps a lease.
func (s *store) renew(m *message) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	result, now := s.run(m.Hold.Key, func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
		token, ttl := m.Hold.Token, m.TTL
		switch s.bug {
		case "renew does nothing":
			if _, found, _ := v.Entry(m.Hold.ID); found {
				return lockqueue.Result{}, nil
			}
		case "renew ignores the ttl":
			ttl = m.Hold.TTL
		case "renew ignores the token":
			token = 0
		}
		return lockqueue.Renew(v, now, m.Hold.ID, token, lockqueue.FromDuration(ttl))
	})
	if s.has("renew always works", "sessions die by half") {
		result.Status = lockqueue.OK
	}
	return replyOf(result.Err(m.Hold.Key, 0, now))
}

// release ends a lease or withdraws a waiter.
func (s *store) release(m *message) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := m.Hold.ID
	if s.has("late release") {
		late := *m
		time.AfterFunc(500*time.Millisecond, func() { // Long enough to be seen on a busy machine.
			s.mu.Lock()
			defer s.mu.Unlock()
			s.run(late.Hold.Key, func(v *view, now lockqueue.Now) (lockqueue.Result, error) { return lockqueue.Release(v, now, id) })
		})
		return reply{}
	}
	result, now := s.run(m.Hold.Key, func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
		e, found, _ := v.Entry(id)
		switch {
		case s.has("release does nothing") && found:
			return lockqueue.Result{}, nil
		case s.has("release frees anybody") && !found && len(v.holders()) > 0:
			id = v.holders()[0].ID
		case s.has("release does not withdraw") && found && e.Phase == lockqueue.Waiting:
			return lockqueue.Result{}, nil
		case s.has("minimum hold begins with the release") && found && e.Phase == lockqueue.Held:
			e.Since, e.MinHold = now.Lease, 20*e.MinHold // Long enough to be seen on a busy machine.
			_ = v.Put(e)
		}
		return lockqueue.Release(v, now, id)
	})
	if result.Status == lockqueue.OK && result.Entry.Phase == lockqueue.Waiting && !s.has("withdrawn calls hang") {
		s.tell(result.Entry, true)
	}
	if s.has("release always works") {
		result.Status = lockqueue.OK
	}
	return replyOf(result.Err(m.Hold.Key, 0, now))
}

// leave ends one connection's wait, or gives back what it was granted while it
// left.
func (s *store) leave(m *message, w *wait, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := m.Request.ID
	s.waits[id] = slices.DeleteFunc(s.waits[id], func(other *wait) bool { return other == w })
	granted := false
	select {
	case <-w.over:
		granted = !w.lost
	default:
	}
	if granted && s.has("cancel leaves a grant") || s.has("cancel leaves the line", "keeps dead waiters") && (gone || s.has("cancel leaves the line")) {
		return
	}
	if len(s.waits[id]) > 0 {
		return // Another call of the same attempt goes on.
	}
	delete(s.waits, id)
	s.run(m.Request.Key, func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
		if e, found, _ := v.Entry(id); s.has("leaver moves nobody up") && found && e.Phase == lockqueue.Waiting {
			v.drop(e)
			return lockqueue.Result{}, nil
		}
		return lockqueue.Release(v, now, id)
	})
}

// breakLease ends somebody's lease.
func (s *store) breakLease(m *message) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	result, now := s.run(m.Hold.Key, func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
		how := m.How
		switch s.bug {
		case "breaks are always now":
			how = driver.BreakNow
		case "breaks are always gentle":
			how = driver.BreakGently
		case "breaks break all":
			for _, h := range v.holders() {
				_, _ = lockqueue.Break(v, now, h.ID, how)
			}
			return lockqueue.Result{}, nil
		}
		return lockqueue.Break(v, now, m.Hold.ID, how)
	})
	if s.has("break always works") {
		result.Status = lockqueue.OK
	}
	if result.Status == lockqueue.OK && !s.has("never nudges") {
		for _, nudge := range s.watchers[m.Hold.ID] {
			select {
			case nudge <- struct{}{}:
			default: // One is on its way already.
			}
		}
	}
	return replyOf(result.Err(m.Hold.Key, 0, now))
}
