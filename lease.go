package stile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stilelock/stile/driver"
)

// A Lease is one hold of a key. It is renewed in the background until it is
// released or lost. It belongs to whoever has it, not to a goroutine, and is
// safe for concurrent use. It is not re-entrant: a second Acquire of the same
// key stands in line behind it.
type Lease struct {
	locker *Locker
	hold   driver.Hold
	mode   Mode
	limit  int
	owner  string
	waited time.Duration
	since  driver.Instant // not later than the grant
	last   driver.Instant // the end of the maximum hold; 0: none

	ctx    context.Context //nolint:containedctx // It is what Context returns: the life of the lease.
	cancel context.CancelCauseFunc
	nudged chan struct{} // the store has news of the lease
	handed atomic.Bool   // another process may keep the lease too

	mu         sync.Mutex
	deadline   driver.Instant
	err        error       // why the lease is over; nil while it is held
	reap       *reap       // tells the store of the release; nil before
	keeping    bool        // the keeper has started
	starter    *time.Timer // starts the keeper
	stopNudges func()
}

// Key returns the key that is held.
func (l *Lease) Key() string { return l.hold.Key }

// ID returns the lease's id.
func (l *Lease) ID() LeaseID { return l.hold.ID }

// Owner returns the label that others see.
func (l *Lease) Owner() string { return l.owner }

// Token returns the fencing token. It is greater than the token of every
// earlier grant of the key. Send it with every access to what the lock
// protects, reads included, and let that side refuse a token lower than the
// highest it has seen: that holds even where a lease is lost unnoticed.
func (l *Lease) Token() uint64 { return l.hold.Token }

// TTL returns how long the lease lives without renewal.
func (l *Lease) TTL() time.Duration { return l.hold.TTL }

// Waited returns how long the acquire took. A caller who had to wait may want
// to look again at what it knew before.
func (l *Lease) Waited() time.Duration { return l.waited }

// Context ends when the lease is lost or released, or the locker is closed;
// context.Cause says why, as Err does. It carries the values of the context
// that was given to Acquire, but not its end.
func (l *Lease) Context() context.Context { return l.ctx }

// Done is closed when the lease is lost or released. It is Context().Done().
func (l *Lease) Done() <-chan struct{} { return l.ctx.Done() }

// Err returns nil while the lease is held, and then an error that matches
// ErrLost, ErrReleased or ErrClosed. It looks at the clock itself, so that it
// is right even before Done had time to close. It is no proof for the moment
// after: only the fencing token protects a resource.
func (l *Lease) Err() error {
	if l.remaining() <= 0 {
		l.end(l.overdue())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Remaining returns the time to the deadline, on a clock that runs on while
// the machine is suspended. It is 0 when the lease is over.
func (l *Lease) Remaining() time.Duration {
	if l.Err() != nil {
		return 0
	}
	return max(l.remaining(), 0)
}

// Deadline returns, as a time of day, when the lease is lost unless it is
// renewed. Renewals move it. It is for people and for timeouts; what decides
// is a clock that no change of the time of day can move.
func (l *Lease) Deadline() time.Time { return time.Now().Add(l.remaining()) }

func (l *Lease) remaining() time.Duration { return l.remainingAt(l.locker.config.Clock()) }

func (l *Lease) remainingAt(now driver.Instant) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.deadline.Sub(now)
}

// Release ends the lease and passes the key on. It runs on a context of its
// own: ctx gives its values, but its end does not stop the release. It returns
// nil when the store has ended the lease, and ErrLost if the lease was lost
// before: then the work was not covered to its end. If the store cannot be
// told within 2 s the error is an ErrUnavailable; the release goes on in the
// background, and the lease expires by itself at the latest. After Close it is
// ErrClosed. A repeated call returns what the first one did.
func (l *Lease) Release(ctx context.Context) error {
	until := time.Now().Add(releaseWait)
	_ = l.Err() // A deadline that has passed counts, though no timer has fired yet.
	l.mu.Lock()
	first, held := l.reap == nil, l.err == nil
	if held {
		l.err = ErrReleased
	}
	if first {
		l.reap = l.locker.newReap(ending{hold: l.hold, owner: l.owner})
	}
	over, reap := l.err, l.reap
	l.mu.Unlock()
	if held {
		l.cancel(over)
		l.unkeep()
	}
	if errors.Is(over, ErrLost) {
		if first {
			reap.goOn(ctx, nil) // It tidies up.
		}
		return fmt.Errorf("release key %q: %w", l.hold.Key, over)
	}
	if first {
		reap.begin(ctx)
	}
	finished, err := reap.wait(until)
	switch {
	case !finished:
		err = fmt.Errorf("%w: no answer within %v; the release goes on in the background", ErrUnavailable, releaseWait)
	case errors.Is(err, ErrLost):
		err = fmt.Errorf("%w before it was released", err)
	}
	if first {
		l.observe(EventReleased, err)
	}
	if err != nil {
		return fmt.Errorf("release key %q: %w", l.hold.Key, err)
	}
	return nil
}

// end marks the lease as over and tells everybody who listens. Only the first
// call counts.
func (l *Lease) end(why error) {
	l.mu.Lock()
	over := l.err != nil
	if !over {
		l.err = why
	}
	l.mu.Unlock()
	if over {
		return
	}
	l.cancel(why)
	l.unkeep()
	if errors.Is(why, ErrLost) {
		l.observe(EventLost, why)
	}
}

// overdue says why a lease is over whose deadline has passed.
func (l *Lease) overdue() error {
	if l.last != 0 && l.locker.config.Clock() >= l.last {
		return fmt.Errorf("%w: its maximum hold is over", ErrLost)
	}
	return fmt.Errorf("%w: it could not be renewed before its deadline", ErrLost)
}

// observe tells of an event of this lease. The caller does not hold l.mu.
func (l *Lease) observe(kind EventKind, err error) {
	if !l.locker.observed() {
		return
	}
	now := l.locker.config.Clock()
	l.mu.Lock()
	remaining := max(l.deadline.Sub(now), 0)
	l.mu.Unlock()
	e := Event{
		Kind: kind, Key: l.hold.Key, ID: l.hold.ID, Owner: l.owner, Mode: l.mode, Limit: l.limit,
		Token: l.hold.Token, Held: now.Sub(l.since), Err: err,
	}
	switch kind {
	case EventAcquired:
		e.Waited, e.Held, e.Remaining = l.waited, 0, remaining
	case EventRenewed, EventRenewFailed:
		e.Remaining = remaining
	case EventRefused, EventLost, EventReleased, EventLeftBehind:
	}
	l.locker.observe(e)
}
