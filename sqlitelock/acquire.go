package sqlitelock

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// withdrawLimit bounds the withdrawal of an attempt whose caller has gone.
const withdrawLimit = 2 * time.Second

// Acquire implements [driver.Driver].
func (d *Driver) Acquire(ctx context.Context, req driver.Request) (driver.Grant, error) {
	if err := req.Check(); err != nil {
		return driver.Grant{}, err
	}
	if err := d.enter(ctx); err != nil {
		return driver.Grant{}, err
	}
	defer d.calls.Done()
	a := &acquisition{d: d, req: &req, attempt: lockqueue.NewAttempt(&req)}
	// A command that the caller no longer waits for may still read it.
	a.attempt.Metadata = maps.Clone(req.Metadata)
	a.attempt.WaiterTTL = d.waiterTTL
	if !req.NoWait {
		// Before the attempt is in line, or it could be granted unheard.
		a.waiter = d.listeners.addWaiter(req.Key, req.ID)
		defer d.listeners.removeWaiter(a.waiter)
	}
	result, sent, err := a.send(ctx, false)
	switch {
	case errors.Is(err, driver.ErrAmbiguous) && ctx.Err() != nil:
		return driver.Grant{}, a.leave(fmt.Errorf("acquire: %w", ctx.Err()))
	case err != nil || !sent:
		return driver.Grant{}, err
	case result.Status == lockqueue.Granted:
		return a.grant(&result.Entry), nil
	case result.Status == lockqueue.Queued:
		return a.wait(ctx, result)
	default:
		return driver.Grant{}, result.Err(req.Key, req.Limit, a.sentAt)
	}
}

// An acquisition is one call of Acquire.
type acquisition struct {
	d       *Driver
	req     *driver.Request
	attempt lockqueue.Attempt
	waiter  *waiter
	// sentAt is the store's time of the last command that had an outcome.
	sentAt lockqueue.Now
}

// send asks for the key, or asks again: a waiter keeps its place. What is light
// need not be on disk.
func (a *acquisition) send(ctx context.Context, light bool) (lockqueue.Result, bool, error) {
	attempt := a.attempt // The command may outlive the call of send.
	attempt.Addr = a.d.post.address()
	c := &command{
		key: a.req.Key, asked: attempt.ID, permits: attempt.Limit, light: light,
		step: func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
			return lockqueue.Acquire(v, now, &attempt)
		},
	}
	sent, err := a.d.do(ctx, c)
	if err != nil {
		return lockqueue.Result{}, sent, err
	}
	a.sentAt = c.now
	return c.result, true, nil
}

// leave takes the attempt out of line, or gives back what it was granted in
// the meantime, and returns why. It has a context of its own: the caller's has
// ended, and the store must hear of it all the same.
func (a *acquisition) leave(why error) error {
	if a.waiter != nil && !a.d.listeners.removeWaiter(a.waiter) {
		return why // Another call waits for the same attempt.
	}
	ctx, cancel := context.WithTimeout(whole, withdrawLimit)
	defer cancel()
	c := &command{key: a.req.Key, step: func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
		if _, err := v.Key(); err != nil { // Entry needs what it reads.
			return lockqueue.Result{}, err
		}
		e, found, err := v.Entry(a.req.ID)
		switch {
		case err != nil:
			return lockqueue.Result{}, err
		case found && e.Phase == lockqueue.Held:
			// Nobody has worked under it, so its minimum hold does not count.
			return lockqueue.Break(v, now, a.req.ID, driver.BreakNow)
		default:
			return lockqueue.Release(v, now, a.req.ID)
		}
	}}
	if _, err := a.d.do(ctx, c); err != nil {
		return fmt.Errorf("%w, and the attempt may still be in line: %w: %w", why, driver.ErrAmbiguous, err)
	}
	return why
}

// grant makes the answer from the lease as it is in the file. Both the
// caller's clock and the store's are read after the lease began, the caller's
// first, so From is never too late.
func (a *acquisition) grant(lease *lockqueue.Entry) driver.Grant {
	reading := a.req.Now()
	age := a.d.options.clock.now().Lease - (lease.Expires - lease.TTL)
	// The store counts whole microseconds; up to one may be missing.
	return driver.Grant{Token: lease.Token, From: reading.Add(-(age + 1).Duration())}
}
