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

// reap starts a reaper for h. Values of ctx are kept, its end is not.
func (l *Locker) reap(ctx context.Context, h driver.Hold) *reap {
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
		life, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.TTL+reapFor)
		defer cancel()
		defer context.AfterFunc(l.base, cancel)()
		r.err = l.tell(life, h)
		close(r.done)
	})
	return r
}

// tell releases h until the store has answered. ErrLost after a try whose
// outcome is unknown means that this try was the one that ended it.
func (l *Locker) tell(life context.Context, h driver.Hold) error {
	pause, unsure := reapPause, false
	for {
		try, cancel := context.WithTimeout(life, releaseWait)
		err := l.driver.Release(try, h)
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
			l.observe(Event{Kind: EventLeftBehind, Key: h.Key, ID: h.ID, Token: h.Token, Err: err})
			return err
		}
		pause = min(pause*2, reapPauseMost)
	}
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

// withdraw takes an attempt out of line whose fate is unknown.
func (l *Locker) withdraw(ctx context.Context, h driver.Hold) {
	_, _ = l.reap(ctx, h).wait() // Either it is out of line, or the reaper goes on.
}
