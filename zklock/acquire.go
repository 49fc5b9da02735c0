package zklock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stilelock/stile/driver"
)

// errWithdrawn is the end of an attempt that somebody has released while it waited.
var errWithdrawn = fmt.Errorf("%w: the attempt was withdrawn", driver.ErrLost)

// Acquire implements [driver.Driver].
func (d *Driver) Acquire(ctx context.Context, req driver.Request) (driver.Grant, error) {
	if err := d.check(&req); err != nil {
		return driver.Grant{}, err
	}
	if err := d.enter(ctx); err != nil {
		return driver.Grant{}, fmt.Errorf("acquire: %w", err)
	}
	grant, err := d.acquire(ctx, &req)
	if err != nil {
		var busy *driver.BusyError
		var limit *driver.LimitError
		if errors.As(err, &busy) || errors.As(err, &limit) {
			return driver.Grant{}, err
		}
		return driver.Grant{}, fmt.Errorf("acquire: %w", err)
	}
	return grant, nil
}

// check refuses what can never be granted.
func (d *Driver) check(req *driver.Request) error {
	if err := req.Check(); err != nil {
		return err
	}
	can := d.Capabilities()
	lacks := can.Lacks
	switch {
	case req.MinHold > 0:
		return fmt.Errorf("acquire: minimum hold: %w: %s", errors.ErrUnsupported, lacks[driver.CapMinHold])
	case req.Tokens > 1:
		return fmt.Errorf("acquire: block of tokens: %w: %s", errors.ErrUnsupported, lacks[driver.CapTokenBlocks])
	case req.TTL < can.MinTTL || req.TTL > can.MaxTTL:
		return fmt.Errorf("acquire: %w: a session takes a TTL of %v to %v, and the servers may take less", driver.ErrInvalid, can.MinTTL, can.MaxTTL)
	}
	return nil
}

// acquire joins the attempt with that id, or begins it, and waits for its end.
func (d *Driver) acquire(ctx context.Context, req *driver.Request) (driver.Grant, error) {
	for {
		a, isNew, err := d.join(req)
		if err != nil {
			return driver.Grant{}, err
		}
		switch {
		case isNew:
			a.begin(ctx)
		case a.isHeld():
			a.leaveCall(nil)
			if grant, err := a.again(ctx, req); !errors.Is(err, errIsOver) {
				return grant, err
			}
			select {
			case <-a.gone:
			case <-ctx.Done():
				return driver.Grant{}, fmt.Errorf("%w: the attempt's lease is being ended: %w", driver.ErrAmbiguous, ctx.Err())
			}
			continue
		case req.NoWait:
			return driver.Grant{}, a.refuse(ctx)
		}
		grant, err := a.await(ctx, req)
		if !errors.Is(err, errIsOver) {
			return grant, err
		}
	}
}

// errIsOver says that an attempt has ended between two looks at it.
var errIsOver = errors.New("the attempt is over")

// join returns the attempt with the request's id, with one more call that waits
// for it.
func (d *Driver) join(req *driver.Request) (a *attempt, isNew bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, false, driver.ErrClosed
	}
	a = d.attempts[req.ID]
	if a == nil {
		a, isNew = newAttempt(d, req), true
		d.attempts[req.ID] = a
		d.work.Add(1) // Until begin or run has done.
	}
	a.mu.Lock()
	a.calls++
	a.mu.Unlock()
	return a, isNew, nil
}

// await returns the attempt's outcome to one call. When the last call's context
// ends, the attempt is withdrawn.
func (a *attempt) await(ctx context.Context, req *driver.Request) (driver.Grant, error) {
	select {
	case <-a.done:
		a.leaveCall(nil)
		return a.outcome(req)
	default:
	}
	select {
	case <-a.done:
		a.leaveCall(nil)
		return a.outcome(req)
	case <-ctx.Done():
	}
	if !a.leaveCall(ctx.Err()) {
		return driver.Grant{}, ctx.Err() // Others wait for it still.
	}
	timer := time.NewTimer(withdrawWait)
	defer timer.Stop()
	select {
	case <-a.done:
	case <-timer.C:
		return driver.Grant{}, fmt.Errorf("%w: the attempt is being withdrawn: %w", driver.ErrAmbiguous, ctx.Err())
	}
	grant, err := a.outcome(req)
	switch {
	case err == nil || errors.Is(err, ctx.Err()):
		return grant, err
	case errors.Is(err, driver.ErrAmbiguous):
		return grant, fmt.Errorf("%w: %w", err, ctx.Err())
	default:
		return grant, ctx.Err()
	}
}

// leaveCall takes one call off. If it was the last and has a reason, the attempt
// stops, and it reports true.
func (a *attempt) leaveCall(why error) (last bool) {
	a.mu.Lock()
	a.calls--
	last = a.calls == 0
	a.mu.Unlock()
	if last && why != nil {
		a.stop(why)
	}
	return last
}

// outcome is what a call returns when done is closed. The lease lives from the
// moment at which its session was last proven to.
func (a *attempt) outcome(req *driver.Request) (driver.Grant, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return driver.Grant{}, a.err
	}
	return a.grantLocked(req, a.proven), nil
}

func (a *attempt) grantLocked(req *driver.Request, proven driver.Instant) driver.Grant {
	age := driver.SystemClock().Sub(proven) // By a clock that runs on while the machine is suspended.
	return driver.Grant{Token: a.token, TTL: a.req.TTL, From: max(req.Now().Add(-age), 1)}
}

// again answers a copy of an attempt that is granted: the lease is renewed.
func (a *attempt) again(ctx context.Context, req *driver.Request) (driver.Grant, error) {
	sent, err := a.renew(ctx)
	if err != nil {
		return driver.Grant{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.grantLocked(req, sent), nil
}

// refuse withdraws an attempt that waits, because a copy of it will not.
func (a *attempt) refuse(ctx context.Context) error {
	defer a.leaveCall(nil)
	a.stop(errWithdrawn)
	select {
	case <-a.done:
	case <-ctx.Done():
		return fmt.Errorf("%w: the attempt is being withdrawn: %w", driver.ErrAmbiguous, ctx.Err())
	}
	if a.isHeld() {
		return errIsOver // It was granted meanwhile.
	}
	return a.d.busy(ctx, a.req.Key)
}
