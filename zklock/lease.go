package zklock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
)

// guardAfter is how old a lease is before anybody looks after it. Most are given
// back before, and cost nothing more.
const guardAfter = 250 * time.Millisecond

// hold makes a lease of the attempt.
func (a *attempt) hold(stat *zk.Stat, proven driver.Instant) {
	a.lowest = a.stands.at == 0 || a.req.Mode == driver.Exclusive && a.req.Limit == 1
	a.mu.Lock()
	a.token, a.proven, a.held = uint64(stat.Czxid), proven, true //nolint:gosec // It counts from 0.
	a.renewed = driver.SystemClock()
	a.guard = time.AfterFunc(min(guardAfter, a.req.TTL/provenPart), func() { a.d.goWork(a.keep) })
	a.mu.Unlock()
	close(a.done)
}

// goWork runs f, unless the driver is closed.
func (d *Driver) goWork(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.work.Go(f)
	}
}

// keep looks after a lease until it is over: it hears when somebody breaks it or
// when its session ends, and ends it when nobody has renewed it for its TTL. For
// the session lives on, with the process.
func (a *attempt) keep() {
	s := a.session()
	if a.waited {
		a.tellSince(s)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		own := a.own
		if own == nil || own.Fired() != 0 {
			own = s.NewWatch(a.hear)
			a.own = own
			a.watchOwn(s, own)
		}
		timer.Reset(max(a.left(), 0))
		select {
		case <-a.news:
		case <-timer.C:
			if a.left() <= 0 {
				a.expire(s)
				return
			}
		case <-s.Done():
			a.lose()
			return
		case <-a.gone:
			own.Cancel()
			return
		case <-a.d.closing:
			return
		}
	}
}

// left is what is left of the TTL.
func (a *attempt) left() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.renewed.Add(a.req.TTL).Sub(driver.SystemClock())
}

// watchOwn watches the own node, and looks at it: the lease may have been broken.
func (a *attempt) watchOwn(s *zk.Session, own *zk.Watch) {
	ctx, cancel := context.WithTimeout(a.d.life, a.req.TTL)
	defer cancel()
	reply, err := s.Start(&zk.Get{Path: a.node, Watch: own})[0].Wait(ctx)
	switch {
	case errors.Is(err, zk.NoNode):
		a.d.nudge(a.req.ID)
		a.lose()
	case err != nil:
		own.Cancel()
		a.own = nil
		time.AfterFunc(guardAfter, a.hear) // Then it is tried again.
	case readRecord(reply.Data).Broken:
		a.mu.Lock()
		a.broken = true
		a.mu.Unlock()
		a.d.nudge(a.req.ID)
	}
}

// tellSince writes into the node of a lease that had to wait since when it is held.
func (a *attempt) tellSince(s *zk.Session) {
	ctx, cancel := context.WithTimeout(a.d.life, a.req.TTL)
	defer cancel()
	r := record{Owner: a.req.Owner, TTL: a.req.TTL.Milliseconds(), Metadata: a.req.Metadata, Granted: time.Now().Add(-guardAfter).UnixMilli()}
	data, err := r.data()
	if err != nil {
		return
	}
	// Only if nobody has changed it, as who breaks the lease does.
	if reply, err := s.Start(&zk.Set{Path: a.node, Data: data, Version: 0})[0].Wait(ctx); err == nil {
		a.mu.Lock()
		a.version = reply.Stat.Version
		a.mu.Unlock()
	}
}

// lose ends a lease that the store does not know any more.
func (a *attempt) lose() {
	if a.close() {
		a.finish(driver.ErrLost)
	}
	a.d.nudge(a.req.ID)
}

// close reports whether the caller is the one who ends the lease.
func (a *attempt) close() (first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	first = a.held && !a.leaving
	a.leaving = true
	return first
}

// expire ends a lease that nobody has renewed.
func (a *attempt) expire(s *zk.Session) {
	if !a.close() {
		return
	}
	a.d.nudge(a.req.ID)
	a.reap(s)
}

// reap sees to it that the node goes, until it has or the session is over, with
// which it goes too.
func (a *attempt) reap(s *zk.Session) {
	if a.node == "" && a.sent != nil { // Whether it was made is not known yet.
		if _, _, err := a.search(a.d.life); err != nil {
			a.finish(driver.ErrLost) // The session is over.
			return
		}
	}
	if a.node != "" {
		_ = a.d.remove(a.d.life, s, a.node, -1)
	}
	a.finish(driver.ErrLost)
}

// Renew implements [driver.Driver].
func (d *Driver) Renew(ctx context.Context, h driver.Hold, ttl time.Duration) error {
	if ttl <= 0 || ttl > driver.MaxTTL {
		return fmt.Errorf("renew lease: %w: want a TTL of more than 0 and at most %v, got %v", driver.ErrInvalid, driver.MaxTTL, ttl)
	}
	if err := d.enter(ctx); err != nil {
		return fmt.Errorf("renew lease: %w", err)
	}
	if err := d.renew(ctx, &h, ttl); err != nil {
		return fmt.Errorf("renew lease: %w", err)
	}
	return nil
}

func (d *Driver) renew(ctx context.Context, h *driver.Hold, ttl time.Duration) error {
	a := d.attempt(h.ID)
	switch {
	case a == nil || a.req.Key != h.Key:
		return d.unknown(ctx, h)
	case !a.isHeld():
		return fmt.Errorf("%w: it waits in line", driver.ErrLost)
	case h.Token != 0 && h.Token != a.token:
		return fmt.Errorf("%w: its token is another one", driver.ErrLost)
	}
	_, err := a.renew(ctx)
	switch {
	case errors.Is(err, errIsOver):
		return driver.ErrLost
	case err == nil && ttl != a.req.TTL: // Who has lost the lease hears that first.
		return fmt.Errorf("change the TTL from %v to %v: %w: %s", a.req.TTL, ttl, errors.ErrUnsupported, d.Capabilities().Lacks[driver.CapTTL])
	}
	return err
}

// renew proves that the node is there, as it was made, and that the session lives. A
// majority of the servers have to write that down: one that has lost the others would
// read, and sync, by itself.
func (a *attempt) renew(ctx context.Context) (sent driver.Instant, err error) {
	a.mu.Lock()
	over, broken, version := !a.held || a.leaving, a.broken, a.version
	a.mu.Unlock()
	switch {
	case over:
		return 0, errIsOver
	case broken:
		return 0, errBroken
	}
	s := a.session()
	for {
		reply, err := s.Start(&zk.Check{Path: a.node, Version: version})[0].Wait(ctx)
		if errors.Is(err, zk.BadVersion) { // Somebody has changed it, most likely to break the lease.
			var found *zk.Reply
			if found, err = s.Start(&zk.Get{Path: a.node})[0].Wait(ctx); err == nil {
				if readRecord(found.Data).Broken {
					a.mu.Lock()
					a.broken = true
					a.mu.Unlock()
					return 0, errBroken
				}
				version = found.Stat.Version
				continue
			}
		}
		switch {
		case s.Err() != nil:
			a.lose()
			return 0, fmt.Errorf("%w: %w", driver.ErrLost, s.Err())
		case errors.Is(err, zk.NoNode):
			a.lose()
			return 0, fmt.Errorf("%w: its node is gone", driver.ErrLost)
		case err == nil:
			a.mu.Lock()
			a.renewed, a.version = driver.SystemClock(), max(a.version, version)
			a.mu.Unlock()
			return reply.Sent, nil
		case !isLost(err) || ctx.Err() != nil:
			return 0, explain(err)
		}
	}
}

var errBroken = fmt.Errorf("%w: it was broken", driver.ErrLost)

// unknown says what is wrong with a lease that this driver does not keep.
func (d *Driver) unknown(ctx context.Context, h *driver.Hold) error {
	if err := driver.CheckKey(h.Key); err != nil {
		return err
	}
	return d.reading(ctx, func(s *zk.Session) error { return d.unknownIn(ctx, s, h) })
}

func (d *Driver) unknownIn(ctx context.Context, s *zk.Session, h *driver.Hold) error {
	l, err := d.line(ctx, s, d.folder(h.Key))
	if err != nil {
		return err
	}
	at := l.find(h.ID)
	if at < 0 || !l.holds(at) {
		return driver.ErrLost // It is not there, or waits.
	}
	path := d.folder(h.Key) + "/" + l[at].name
	found, err := s.Start(&zk.Get{Path: path})[0].Wait(ctx)
	switch {
	case errors.Is(err, zk.NoNode):
		return driver.ErrLost
	case err != nil:
		return explain(err)
	case d.sessions.wasOurs(found.Stat.EphemeralOwner):
		_ = d.remove(ctx, s, path, -1) // It was on its way out.
		return driver.ErrLost
	}
	return fmt.Errorf("%w: %s: use it there", errors.ErrUnsupported, d.Capabilities().Lacks[driver.CapAdopt])
}
