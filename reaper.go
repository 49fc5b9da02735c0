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
	locker *Locker
	ending ending
	done   chan struct{} // closed when err is set
	err    error
}

// An ending is what a reaper tells the store.
type ending struct {
	hold  driver.Hold
	owner string
	// unused: nobody has worked under the lease, so a minimum hold, which a
	// release leaves in force, does not count.
	unused bool
}

// newReap returns a reap of e that Close waits for. Either begin or goOn is
// called next. On a closed locker it has ended with ErrClosed.
func (l *Locker) newReap(e ending) *reap {
	r := &reap{locker: l, ending: e, done: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		r.err = ErrClosed
		close(r.done)
		return r
	}
	l.work.Add(1)
	l.reapers.Add(1)
	return r
}

// begin tries once while the caller waits, which is all that most take, and
// goes on in the background if that was not enough.
func (r *reap) begin(ctx context.Context) {
	if r.finished() {
		return
	}
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWait)
	err := r.locker.tellOnce(try, r.ending)
	cancel()
	if final, err := verdict(err, false); final {
		r.finish(err)
		return
	}
	r.goOn(ctx, err)
}

// goOn tells in the background until the store has answered. failed is the
// error of the try before, if there was one. Values of ctx are kept, its end is
// not.
func (r *reap) goOn(ctx context.Context, failed error) {
	if r.finished() {
		return
	}
	go func() {
		life, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.ending.hold.TTL+reapFor)
		defer cancel()
		defer context.AfterFunc(r.locker.base, cancel)()
		r.finish(r.locker.tell(life, r.ending, failed))
	}()
}

func (r *reap) finished() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// finish ends a reap that newReap has started. It is called once.
func (r *reap) finish(err error) {
	r.err = err
	close(r.done)
	r.locker.reapers.Done()
	r.locker.work.Done()
}

// verdict says what a try has shown, or that it has shown nothing yet. ErrLost
// after a try whose outcome is unknown means that this try was the one that
// ended it.
func verdict(err error, unsure bool) (final bool, outcome error) {
	switch {
	case err == nil, errors.Is(err, ErrLost) && unsure:
		return true, nil
	case errors.Is(err, ErrLost), errors.Is(err, ErrClosed), errors.Is(err, ErrInvalid):
		return true, err
	default:
		return false, nil
	}
}

// tell tells of e until the store has answered. failed is the error of a try
// that was made before; without one tell begins at once.
func (l *Locker) tell(life context.Context, e ending, failed error) error {
	unsure := false
	for pause := reapPause; ; pause = min(pause*2, reapPauseMost) {
		if failed != nil {
			// A try that we gave up may have reached the store all the same.
			unsure = unsure || errors.Is(failed, ErrAmbiguous) || !errors.Is(failed, ErrUnavailable)
			if !sleep(life, pause) {
				l.observe(Event{Kind: EventLeftBehind, Key: e.hold.Key, ID: e.hold.ID, Owner: e.owner, Token: e.hold.Token, Err: failed})
				return failed
			}
		}
		try, cancel := context.WithTimeout(life, releaseWait)
		err := l.tellOnce(try, e)
		cancel()
		if final, outcome := verdict(err, unsure); final {
			return outcome
		}
		failed = err
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

// wait returns the outcome, or false if there is none yet at until.
func (r *reap) wait(until time.Time) (finished bool, err error) {
	if r.finished() {
		return true, r.err
	}
	timer := time.NewTimer(time.Until(until))
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
	until := time.Now().Add(releaseWait)
	r := l.newReap(e)
	r.begin(ctx)
	finished, err := r.wait(until)
	if errors.Is(err, ErrClosed) {
		// No reaper starts any more, but the store stays open while Close
		// waits for those under way.
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWait)
		defer cancel()
		err = l.tellOnce(try, e)
	}
	return finished && (err == nil || errors.Is(err, ErrLost))
}
