package stile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stilelock/stile/driver"
)

const (
	// ambiguousTries is how often an acquire whose reply was lost is sent
	// again. The attempt id makes that safe.
	ambiguousTries = 3
	// ambiguousPause is the pause before the first of them; it doubles.
	ambiguousPause = 50 * time.Millisecond
)

// Acquire waits in line for the key and returns a lease of it. The context
// bounds the waiting only, never the hold; so does Options.Wait. Nil options
// are good options. When it returns an error, the attempt is no longer in
// line, or is being withdrawn in the background and expires at the latest.
//
// Errors: ErrWaitTimeout, *LimitError, ErrInvalid, ErrUnavailable, ErrClosed,
// the context's, and an errors.ErrUnsupported for what the store cannot do. It
// is an ErrAmbiguous too if the withdrawal goes on in the background.
func (l *Locker) Acquire(ctx context.Context, key string, opts *Options) (*Lease, error) {
	return l.acquire(ctx, key, opts, false)
}

// TryAcquire returns a lease of the key, or at once a [*BusyError] that says
// who holds it. Options.Wait does not matter. Other errors are those of
// Acquire.
func (l *Locker) TryAcquire(ctx context.Context, key string, opts *Options) (*Lease, error) {
	return l.acquire(ctx, key, opts, true)
}

func (l *Locker) acquire(ctx context.Context, key string, opts *Options, noWait bool) (*Lease, error) {
	p, err := l.plan(key, opts)
	if err != nil {
		return nil, fmt.Errorf("acquire key: %w", err)
	}
	p.req.NoWait = noWait
	called := l.config.Clock() // The clock is a system call: it is read once for what happens at once.
	grant, err := l.wait(ctx, p, called)
	now := l.config.Clock()
	waited := now.Sub(called)
	var lease *Lease
	if err == nil {
		lease, err = l.adopt(ctx, p, grant, now, waited)
	}
	if err != nil {
		l.observe(Event{
			Kind: EventRefused, Key: key, ID: p.req.ID, Owner: p.req.Owner,
			Mode: p.req.Mode, Limit: p.req.Limit, Waited: waited, Err: err,
		})
		return nil, fmt.Errorf("acquire key: %w", err)
	}
	lease.observe(EventAcquired, nil)
	return lease, nil
}

// wait stands in line until the grant or the end of ctx or of Options.Wait.
func (l *Locker) wait(ctx context.Context, p *plan, called driver.Instant) (driver.Grant, error) {
	line := ctx
	if p.wait > 0 && !p.req.NoWait {
		var cancel context.CancelFunc
		line, cancel = context.WithTimeoutCause(ctx, p.wait, ErrWaitTimeout)
		defer cancel()
	}
	grant, unsure, err := l.send(line, p, called)
	if err == nil {
		return grant, nil
	}
	if unsure {
		unsure = !l.withdraw(ctx, p, p.hold())
	}
	switch {
	case line.Err() == nil:
	case errors.Is(context.Cause(line), ErrWaitTimeout) && ctx.Err() == nil:
		err = fmt.Errorf("%w: %v in line", ErrWaitTimeout, p.wait)
	default:
		err = endOf(ctx)
	}
	if unsure && !errors.Is(err, ErrAmbiguous) {
		err = fmt.Errorf("%w, and the attempt may still be in line: %w", err, ErrAmbiguous)
	}
	return driver.Grant{}, err
}

// endOf says why a context has ended, in a way that matches both its error and
// its cause.
func endOf(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// send asks the driver, and asks again when the outcome is unknown. With an
// error, unsure says that the outcome of one of the tries still is.
func (l *Locker) send(line context.Context, p *plan, called driver.Instant) (grant driver.Grant, unsure bool, err error) {
	pause, sent := ambiguousPause, called
	for try := 0; ; try++ {
		grant, err := l.driver.Acquire(line, p.req)
		if err == nil {
			if grant.From == 0 {
				grant.From = sent
			}
			return grant, false, nil
		}
		unsure = unsure || errors.Is(err, ErrAmbiguous)
		if !errors.Is(err, ErrAmbiguous) || try == ambiguousTries || line.Err() != nil {
			return driver.Grant{}, unsure, err
		}
		if !sleep(line, pause) {
			return driver.Grant{}, unsure, err
		}
		pause *= 2
		sent = l.config.Clock()
	}
}

func (p *plan) hold() driver.Hold {
	return driver.Hold{Key: p.req.Key, ID: p.req.ID, TTL: p.req.TTL}
}

// sleep reports whether the whole time has passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
