package stile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stilelock/stile/driver"
)

const (
	// renewAt is the part of the TTL after which a lease is renewed, and
	// tryFor the part that one try may take, so that one lost packet is not a
	// lost lease.
	renewAt = 3
	tryFor  = 5
	// retryPart is the part of the TTL between a failed try and the next.
	retryPart = 20
	// longestSleep bounds a timer, because Go's timers stand still while the
	// machine is suspended and the clock of leases does not.
	longestSleep = time.Second
	// longestHold is a maximum hold that never ends, and that no clock can add
	// up to more than an Instant takes.
	longestHold = 100 * 365 * 24 * time.Hour
)

// margin is what a deadline stays before the store's: the drift of two clocks
// over the TTL, and the time it takes to act on a timer.
func margin(ttl time.Duration) time.Duration { return ttl/100 + 2*time.Millisecond }

// A renewal is one try to renew.
type renewal struct {
	sent driver.Instant
	ttl  time.Duration
	err  error
}

// adopt makes a lease of a grant and starts to keep it. now is when the answer
// came.
func (l *Locker) adopt(ctx context.Context, p *plan, grant driver.Grant, now driver.Instant, waited time.Duration) (*Lease, error) {
	lease := l.newLease(ctx, p, grant, waited)
	if lease.remainingAt(now) <= 0 {
		// The answer took longer than the lease lives: only the store can say
		// whether it is still ours.
		if !lease.prove() {
			lease.cancel(ErrLost)
			l.withdraw(ctx, p, lease.hold)
			return nil, fmt.Errorf("%w: the grant arrived after its TTL of %v", ErrUnavailable, lease.hold.TTL)
		}
		now = l.config.Clock()
	}
	if err := lease.keep(now); err != nil {
		l.withdraw(ctx, p, lease.hold)
		return nil, err
	}
	return lease, nil
}

// prove renews a lease whose deadline has passed before anybody had it, and
// reports whether it is held. There is nothing to renew if its maximum hold is
// over.
func (l *Lease) prove() bool {
	ttl := l.nextTTL()
	if ttl <= 0 {
		return false
	}
	r := l.renew(l.locker.base, ttl)
	return r.err == nil && l.renewed(r)
}

func (l *Locker) newLease(ctx context.Context, p *plan, grant driver.Grant, waited time.Duration) *Lease {
	lease := &Lease{
		locker: l, hold: p.hold(), mode: p.req.Mode, limit: p.req.Limit, owner: p.req.Owner,
		waited: waited, since: grant.From, nudged: make(chan struct{}, 1),
	}
	lease.hold.Token = grant.Token
	if grant.TTL != 0 {
		lease.hold.TTL = grant.TTL
	}
	if p.maxHold > 0 {
		lease.last = grant.From.Add(min(p.maxHold, longestHold))
	}
	lease.ctx, lease.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	lease.moveDeadline(grant.From, lease.hold.TTL)
	return lease
}

// moveDeadline sets the deadline for a TTL that the store counts from a moment
// not before sent. A lease that is over stays so.
func (l *Lease) moveDeadline(sent driver.Instant, ttl time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return false
	}
	deadline := sent.Add(ttl - margin(ttl))
	if l.last != 0 {
		deadline = min(deadline, l.last)
	}
	l.deadline = max(l.deadline, deadline)
	return true
}

// keep sees to it that the lease is renewed. Most leases are given back before
// there is anything to do for them, so the keeper starts when there is. On a
// closed locker keep ends the lease.
func (l *Lease) keep(now driver.Instant) error {
	locker := l.locker
	locker.mu.Lock()
	closed := locker.closed
	if !closed {
		locker.leases[l] = struct{}{}
	}
	locker.mu.Unlock()
	if closed {
		l.end(ErrClosed)
		return ErrClosed
	}
	stopNudges := func() {}
	if nudger, can := locker.driver.(driver.Nudger); can {
		stopNudges = nudger.Nudge(l.hold, l.nudge)
	}
	first := min(l.hold.TTL/renewAt-now.Sub(l.since), l.remainingAt(now), longestSleep)
	l.mu.Lock()
	ended := l.err != nil // Close was quicker.
	if !ended {
		l.stopNudges = stopNudges
		l.starter = time.AfterFunc(max(first, 0), l.startKeeper)
	}
	l.mu.Unlock()
	if ended {
		stopNudges()
	}
	return nil
}

// startKeeper starts the keeper, unless it has started or the lease is over.
func (l *Lease) startKeeper() {
	l.mu.Lock()
	start := !l.keeping && l.err == nil
	l.keeping = true
	l.mu.Unlock()
	if start {
		l.locker.goWork(l.keeper)
	}
}

// nudge has the keeper ask the store. It is for the driver to call.
func (l *Lease) nudge() {
	select {
	case l.nudged <- struct{}{}:
	default:
	}
	l.startKeeper()
}

// unkeep lets go of what keeps a lease that is over. It is called once, without
// l.mu.
func (l *Lease) unkeep() {
	l.mu.Lock()
	starter, stopNudges := l.starter, l.stopNudges
	l.mu.Unlock()
	if starter != nil {
		starter.Stop()
		stopNudges()
	}
	l.locker.mu.Lock()
	delete(l.locker.leases, l)
	l.locker.mu.Unlock()
}

// keeper renews until the lease is over. It alone decides that the deadline
// has passed, by the clock and not by any answer: a renewal that hangs does
// not hold it up.
func (l *Lease) keeper() {
	clock := l.locker.config.Clock
	tries, cancelTries := context.WithCancel(l.locker.base)
	defer cancelTries()
	answers := make(chan renewal, 1) // One renewal at a time, so its answer never blocks.
	underWay, asked := false, false  // asked: a nudge wants an answer, whatever the deadline
	next := l.since.Add(l.hold.TTL / renewAt)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := clock()
		left := l.remaining()
		if left <= 0 {
			l.end(l.overdue())
		}
		if l.ctx.Err() != nil {
			return
		}
		nap := min(left, longestSleep)
		switch ttl := l.nextTTL(); {
		case underWay, ttl <= 0:
		case !asked && l.isLast(now, ttl):
			// No renewal can move the deadline any more.
		case asked, now >= next:
			asked = false
			underWay = l.locker.goWork(func() { answers <- l.renew(tries, ttl) })
		default:
			nap = min(nap, next.Sub(now))
		}
		timer.Reset(nap)
		select {
		case <-l.ctx.Done():
			return
		case <-timer.C:
		case <-l.nudged:
			asked = true
		case answer := <-answers:
			underWay = false
			next = l.answered(answer)
		}
	}
}

// nextTTL is what a renewal asks for: the TTL, or what the maximum hold leaves
// of it, but not less than the store takes. It is 0 when the maximum hold is
// over.
func (l *Lease) nextTTL() time.Duration {
	if l.last == 0 {
		return l.hold.TTL
	}
	left := l.last.Sub(l.locker.config.Clock())
	switch {
	case left <= 0:
		return 0
	case !l.locker.can.Has(driver.CapTTL), l.handed.Load():
		// Who attached to the lease may rely on a whole TTL.
		return l.hold.TTL
	default:
		return min(l.hold.TTL, max(left, l.locker.can.MinTTL))
	}
}

// isLast reports whether a renewal for ttl at now could not move the deadline.
func (l *Lease) isLast(now driver.Instant, ttl time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last != 0 && (l.deadline >= l.last || now.Add(ttl-margin(ttl)) <= l.deadline)
}

// renew renews once.
func (l *Lease) renew(ctx context.Context, ttl time.Duration) renewal {
	ctx, cancel := context.WithTimeout(ctx, l.hold.TTL/tryFor)
	defer cancel()
	r := renewal{sent: l.locker.config.Clock(), ttl: ttl}
	r.err = l.locker.driver.Renew(ctx, l.hold, ttl)
	return r
}

// answered takes in the outcome of a try and says when the next is due.
func (l *Lease) answered(r renewal) (next driver.Instant) {
	switch {
	case r.err == nil:
		l.renewed(r)
		return r.sent.Add(l.hold.TTL / renewAt)
	case errors.Is(r.err, ErrLost):
		l.end(fmt.Errorf("%w: the store does not know it any more: it expired or was broken", ErrLost))
	default:
		if l.ctx.Err() == nil {
			l.observe(EventRenewFailed, r.err)
		}
	}
	return l.locker.config.Clock().Add(l.hold.TTL / retryPart)
}

// renewed reports whether the renewal moved the lease's deadline into the future.
func (l *Lease) renewed(r renewal) bool {
	if !l.moveDeadline(r.sent, r.ttl) || l.remaining() <= 0 {
		return false
	}
	l.observe(EventRenewed, nil)
	return true
}
