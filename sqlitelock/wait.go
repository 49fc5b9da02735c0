package sqlitelock

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A waiter that is granted gets a message. Everything else here is for what a
// message cannot tell: that the holder's lease has run out, or that whoever
// should have sent the message has died first.

const (
	// shortestSleep keeps a waiter from turning round in place.
	shortestSleep = time.Millisecond
	// behind is how much later than the first in line the others look when
	// the holder's lease runs out, in case the first is dead; up to twice as
	// long, so that they do not all look at once.
	behind = 100 * time.Millisecond
	// retryRefresh is when a refresh that failed is tried again.
	retryRefresh = time.Second
)

// A wait is the time that an acquisition stands in line.
type wait struct {
	*acquisition
	refreshAt time.Time // when to send the attempt again
	settled   bool      // it has been sent again before
	dueAt     time.Time // when the key may give way by itself; zero if it cannot
	keptUntil lockqueue.Micros
}

// wait stands in line until the attempt is granted, or ctx or the store ends.
func (a *acquisition) wait(ctx context.Context, queued lockqueue.Result) (driver.Grant, error) {
	a.d.watch()
	defer a.d.watchNoMore()
	w := &wait{acquisition: a}
	w.stand(&queued)
	timer := time.NewTimer(w.sleep())
	defer timer.Stop()
	for {
		var (
			lease *lockqueue.Entry
			err   error
		)
		select {
		case <-ctx.Done():
			return driver.Grant{}, a.leave(fmt.Errorf("wait in line: %w", ctx.Err()))
		case <-a.d.closing:
			return driver.Grant{}, a.leave(driver.ErrClosed)
		case <-a.waiter.hint:
			lease, err = w.heard(ctx)
		case <-timer.C:
			lease, err = w.woke(ctx)
		}
		if err != nil {
			return driver.Grant{}, err
		}
		if lease != nil {
			return a.grant(lease), nil
		}
		timer.Reset(w.sleep())
	}
}

// stand takes note of the attempt's place.
func (w *wait) stand(queued *lockqueue.Result) {
	// Many may have come at once, as from one script. Refreshes that meet cost
	// each of them tries for its turn to write, so the first comes at any time
	// of the interval, and the others keep apart.
	refresh := w.d.options.timing.refresh
	early := refresh / 4
	if !w.settled {
		early = refresh
	}
	w.settled = true
	w.refreshAt = time.Now().Add(refresh - rand.N(early+1))
	w.keptUntil = queued.Entry.Expires
	w.dueIn(queued.Due-w.sentAt.Lease, queued.HasDue, queued.First)
}

func (w *wait) dueIn(left lockqueue.Micros, hasDue, first bool) {
	if !hasDue {
		w.dueAt = time.Time{}
		return
	}
	w.dueAt = time.Now().Add(max(left.Duration(), shortestSleep))
	if !first {
		w.dueAt = w.dueAt.Add(behind + rand.N(behind))
	}
}

func (w *wait) sleep() time.Duration {
	next := w.refreshAt
	if !w.dueAt.IsZero() && w.dueAt.Before(next) {
		next = w.dueAt
	}
	return time.Until(next)
}

// heard looks at the attempt after a hint. It returns the lease if there is one.
func (w *wait) heard(ctx context.Context) (*lockqueue.Entry, error) {
	if w.waiter.withdrawn.Load() {
		return nil, fmt.Errorf("wait in line: the attempt was withdrawn: %w", driver.ErrLost)
	}
	lease := w.waiter.granted.Swap(nil)
	if lease == nil {
		g, err := w.d.glance(w.req.Key, w.req.ID)
		switch {
		case err != nil:
			return nil, nil //nolint:nilerr // The next refresh tells whether the file is well.
		case g.waits:
			return w.saw(ctx, &g)
		case g.lease == nil: // It was passed over, or granted and lost.
			w.d.post.check()
			return w.again(ctx, false)
		}
		lease = g.lease
	}
	// A lease that is half over, or is one no more, starts anew.
	left := lease.Expires - w.d.options.clock.now().Lease
	if lease.Phase != lockqueue.Held || left < lease.TTL/2 {
		return w.again(ctx, false)
	}
	return lease, nil
}

// woke does what it is time for.
func (w *wait) woke(ctx context.Context) (*lockqueue.Entry, error) {
	now := time.Now()
	if !w.refreshAt.After(now) {
		return w.refresh(ctx)
	}
	if w.dueAt.IsZero() || w.dueAt.After(now) {
		return nil, nil
	}
	return w.lookAround(ctx)
}

// lookAround finds out when the key next changes by itself, and asks again if
// its time has come: the holder may have renewed, for longer or for shorter.
func (w *wait) lookAround(ctx context.Context) (*lockqueue.Entry, error) {
	g, err := w.d.glance(w.req.Key, w.req.ID)
	if err != nil {
		w.dueAt = time.Time{}
		return nil, nil //nolint:nilerr // The next refresh tells whether the file is well.
	}
	return w.saw(ctx, &g)
}

// saw takes in what a glance has shown of the line.
func (w *wait) saw(ctx context.Context, g *glance) (*lockqueue.Entry, error) {
	left := g.due - w.d.options.clock.now().Lease
	switch {
	case !g.hasDue || left <= 0:
		return w.again(ctx, false)
	case time.Until(w.refreshAt) < w.d.options.timing.look:
		return w.refresh(ctx) // It is awake now, and need not be again before the next look.
	default:
		w.dueIn(left, true, g.first == w.req.ID)
		return nil, nil
	}
}

// refresh keeps the place for longer.
func (w *wait) refresh(ctx context.Context) (*lockqueue.Entry, error) {
	w.d.post.check()
	return w.again(ctx, true)
}

// again sends the attempt again: it keeps its place for longer, and the key
// moves on if its time has come. light says that it most likely has not.
func (w *wait) again(ctx context.Context, light bool) (*lockqueue.Entry, error) {
	result, _, err := w.send(ctx, light)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, w.leave(fmt.Errorf("wait in line: %w", ctx.Err()))
	case w.d.options.clock.now().Lease < w.keptUntil:
		// The place is still there, and the store may be well again in time.
		w.refreshAt, w.dueAt = time.Now().Add(retryRefresh), time.Time{}
		return nil, nil
	default:
		return nil, w.leave(fmt.Errorf("wait in line: %w", err))
	}
	switch result.Status {
	case lockqueue.Granted:
		return &result.Entry, nil
	case lockqueue.Queued:
		w.stand(&result)
		return nil, nil
	default:
		return nil, fmt.Errorf("wait in line: %w", result.Err(w.req.Key, w.req.Limit, w.sentAt))
	}
}

// reading runs a read. It waits while SQLite keeps readers out, which it does
// while the last process to leave a file cleans up.
func (d *Driver) reading(ctx context.Context, read func(db *database) error) error {
	return whileBusy(ctx, d.options.BusyTimeout, func() error {
		d.dbMu.RLock()
		defer d.dbMu.RUnlock()
		return read(d.db)
	})
}
