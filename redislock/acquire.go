package redislock

import (
	"context"
	"errors"
	"fmt"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/redislock/internal/script"
)

// An acquisition is one call of Acquire.
type acquisition struct {
	d       *Driver
	req     *driver.Request
	keys    *script.Keys
	attempt script.Attempt
	sentAt  driver.Instant // the caller's clock before the last send
	// Of the last request that was answered: the caller's clock before it was
	// sent, and the server's time in the answer.
	answeredAt driver.Instant
	serverAt   lockqueue.Micros
}

// Acquire implements [driver.Driver].
func (d *Driver) Acquire(ctx context.Context, req driver.Request) (driver.Grant, error) {
	if err := req.Check(); err != nil {
		return driver.Grant{}, err
	}
	keys, err := d.keys(req.Key)
	if err != nil {
		return driver.Grant{}, err
	}
	if err := d.enter(ctx); err != nil {
		return driver.Grant{}, fmt.Errorf("acquire: %w", err)
	}
	defer d.calls.Done()
	a := &acquisition{d: d, req: &req, keys: keys, attempt: script.Attempt{Attempt: lockqueue.NewAttempt(&req), How: script.Queue}}
	a.attempt.WaiterTTL = lockqueue.FromDuration(waiterTTL)
	addr, open := d.ears.address(keys)
	a.attempt.Addr = addr
	switch {
	case req.NoWait:
		a.attempt.How = script.Try
	case !open:
		// A grant could not be told yet. Most find the key free.
		a.attempt.How = script.Probe
	default:
		return a.inLine(ctx)
	}
	reply, err := a.send(ctx)
	switch {
	case err != nil:
		return driver.Grant{}, fmt.Errorf("acquire: %w", err)
	case reply.Status == script.Granted:
		return driver.Grant{Token: reply.Token, From: a.sentAt}, nil
	case reply.Status == script.WouldQueue:
		a.attempt.How = script.Queue
		return a.inLine(ctx)
	default:
		return driver.Grant{}, reply.Err(req.Key, req.Limit)
	}
}

// send sends the attempt, or sends it again: a waiter keeps its place.
func (a *acquisition) send(ctx context.Context) (script.Reply, error) {
	a.sentAt = a.req.Now()
	answer, err := a.d.run(ctx, &script.Acquire, a.keys, a.d.acquireArgs(&a.attempt))
	if err != nil {
		if errors.Is(err, driver.ErrAmbiguous) {
			a.d.unsure.add(a.req.ID)
		}
		return script.Reply{}, err
	}
	var reply script.Reply
	if text, isText := answer.ToString(); isText == nil {
		if reply, err = script.ParseAnswer(text, a.attempt.TTL); err != nil {
			err = fmt.Errorf("%w: %w", driver.ErrAmbiguous, err)
		}
	} else {
		reply, err = parse(answer)
	}
	if err != nil {
		return reply, err
	}
	a.answeredAt, a.serverAt = a.sentAt, reply.Now
	return reply, nil
}

// inLine asks with an ear open, and waits if it must.
func (a *acquisition) inLine(ctx context.Context) (driver.Grant, error) {
	ear, err := a.d.ears.listen(ctx, a.keys)
	if err != nil {
		return driver.Grant{}, fmt.Errorf("acquire: subscribe: %w", a.d.explain(ctx, "", err))
	}
	defer a.d.ears.leave(ear)
	waiter, err := a.d.ears.add(a.req.ID, ear)
	if err != nil {
		return driver.Grant{}, fmt.Errorf("acquire: %w", err)
	}
	defer a.d.ears.remove(waiter)
	reply, err := a.send(ctx)
	switch {
	case err != nil:
		return driver.Grant{}, fmt.Errorf("acquire: %w", err)
	case reply.Status == script.Granted:
		return driver.Grant{Token: reply.Token, From: a.sentAt}, nil
	case reply.Status == script.Queued:
		w := &wait{acquisition: a, waiter: waiter}
		return w.wait(ctx, &reply)
	default:
		return driver.Grant{}, reply.Err(a.req.Key, a.req.Limit)
	}
}

// leave takes the attempt out of line when the driver closes.
func (a *acquisition) leave(w *waiter) error {
	if !a.d.ears.remove(w) {
		return driver.ErrClosed // Another call waits for the same attempt, and takes it along.
	}
	ctx, cancel := context.WithTimeout(context.Background(), withdrawLimit) //nolint:forbidigo // The store must hear of it whatever became of the caller.
	defer cancel()
	_, err := a.d.run(ctx, &script.Release, a.keys, script.ReleaseArgs(a.req.ID, script.TombAlways, a.d.retention))
	if err != nil {
		return fmt.Errorf("%w, and the attempt may still be in line: %w", driver.ErrClosed, driver.ErrAmbiguous)
	}
	return driver.ErrClosed
}
