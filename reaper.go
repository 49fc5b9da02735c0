package stile

import (
	"context"
	"errors"
	"time"

	"github.com/stilelock/stile/driver"
)

const (
	// releaseWait is how long a caller waits until the store has taken a
	// release or a withdrawal. After that a reaper goes on without it.
	releaseWait = 2 * time.Second
	// reapFor bounds a reaper beyond the TTL; then the store has dropped the
	// lease or the waiter by itself.
	reapFor = 30 * time.Second
	// reapPause is the pause after a reaper's first failure. It doubles up to
	// reapPauseMost.
	reapPause     = 20 * time.Millisecond
	reapPauseMost = time.Second
)

// A reap tells the store, until it has heard, that an attempt or a lease is
// over. It has a bounded life of its own: the context of the call that started
// it may have ended long before.
type reap struct {
	done chan struct{} // closed when err is set
	err  error
}

// An ending is what a reaper tells the store.
type ending struct {
	hold  driver.Hold
	owner string
	// unused: nobody has worked under the lease, so a minimum hold, which a
	// release leaves in force, does not count.
	unused bool
}

// reap starts a reaper for e. Values of ctx are kept, its end is not.
func (l *Locker) reap(ctx context.Context, e ending) *reap {
	r := &reap{done: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		r.err = ErrClosed
		close(r.done)
		return r
	}
	l.reapers.Add(1)
	l.work.Go(func() {
		defer l.reapers.Done()
		life, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.hold.TTL+reapFor)
		defer cancel()
		defer context.AfterFunc(l.base, cancel)()
		r.err = l.tell(life, e)
		close(r.done)
	})
	return r
}

// tell tells of e until the store has answered. ErrLost after a try whose
// outcome is unknown means that this try was the one that ended it.
func (l *Locker) tell(life context.Context, e ending) error {
	pause, unsure := reapPause, false
	for {
		try, cancel := context.WithTimeout(life, releaseWait)
		err := l.tellOnce(try, e)
		cancel()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrLost) && unsure:
			return nil
		case errors.Is(err, ErrLost), errors.Is(err, ErrClosed), errors.Is(err, ErrInvalid):
			return err
		}
		// A try that we gave up may have reached the store all the same.
		unsure = unsure || errors.Is(err, ErrAmbiguous) || !errors.Is(err, ErrUnavailable)
		if !sleep(life, pause) {
			l.observe(Event{Kind: EventLeftBehind, Key: e.hold.Key, ID: e.hold.ID, Owner: e.owner, Token: e.hold.Token, Err: err})
			return err
		}
		pause = min(pause*2, reapPauseMost)
	}
}

// tellOnce is one try of tell.
func (l *Locker) tellOnce(ctx context.Context, e ending) error {
	released := l.driver.Release(ctx, e.hold)
	if !e.unused || released != nil && !errors.Is(released, ErrLost) {
		return released
	}
	if err := l.driver.Break(ctx, e.hold.Key, e.hold.ID, BreakNow); !errors.Is(err, ErrLost) {
		return err
	}
	return released // Nothing was left to break.
}

// wait returns the reaper's outcome, or false if it is still at work after
// releaseWait.
func (r *reap) wait() (finished bool, err error) {
	timer := time.NewTimer(releaseWait)
	defer timer.Stop()
	select {
	case <-r.done:
		return true, r.err
	case <-timer.C:
		return false, nil
	}
}

// withdraw takes an attempt out of line whose fate is unknown, or gives back a
// lease that nobody gets. It reports whether the store has answered; if not,
// the reaper goes on.
func (l *Locker) withdraw(ctx context.Context, p *plan, h driver.Hold) bool {
	e := ending{hold: h, owner: p.req.Owner, unused: p.req.MinHold > 0}
	finished, err := l.reap(ctx, e).wait()
	if errors.Is(err, ErrClosed) {
		// No reaper starts any more, but the store stays open while Close
		// waits for those under way.
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWait)
		defer cancel()
		err = l.tellOnce(try, e)
	}
	return finished && (err == nil || errors.Is(err, ErrLost))
}
