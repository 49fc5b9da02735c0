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
	refresh := w.d.options.timing.refresh
	w.refreshAt = time.Now().Add(refresh - rand.N(refresh/8+1)) // Not all at once.
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
		e, found, err := w.d.look(w.req.Key, w.req.ID)
		switch {
		case err != nil:
			return nil, nil //nolint:nilerr // The next refresh tells whether the file is well.
		case !found: // It was passed over, or granted and lost.
			w.d.post.check()
			return w.again(ctx)
		case e.Phase == lockqueue.Waiting:
			return w.lookAround(ctx)
		}
		lease = &e
	}
	// A lease that is half over, or is one no more, starts anew.
	left := lease.Expires - w.d.options.clock.now().Lease
	if lease.Phase != lockqueue.Held || left < lease.TTL/2 {
		return w.again(ctx)
	}
	return lease, nil
}

// woke does what it is time for.
func (w *wait) woke(ctx context.Context) (*lockqueue.Entry, error) {
	now := time.Now()
	if !w.refreshAt.After(now) {
		w.d.post.check()
		return w.again(ctx)
	}
	if w.dueAt.IsZero() || w.dueAt.After(now) {
		return nil, nil
	}
	return w.lookAround(ctx)
}

// lookAround finds out when the key next changes by itself, and asks again if
// its time has come: the holder may have renewed, for longer or for shorter.
func (w *wait) lookAround(ctx context.Context) (*lockqueue.Entry, error) {
	line, err := w.d.lookAtLine(w.req.Key)
	if err != nil {
		w.dueAt = time.Time{}
		return nil, nil //nolint:nilerr // The next refresh tells whether the file is well.
	}
	left := line.due - w.d.options.clock.now().Lease
	if line.hasDue && left > 0 {
		w.dueIn(left, true, line.first == w.req.ID)
		return nil, nil
	}
	return w.again(ctx)
}

// again sends the attempt again: it keeps its place for longer, and the key
// moves on if its time has come.
func (w *wait) again(ctx context.Context) (*lockqueue.Entry, error) {
	result, _, err := w.send(ctx)
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

// look reads one attempt.
func (d *Driver) look(key string, id driver.LeaseID) (e lockqueue.Entry, found bool, err error) {
	err = d.reading(whole, func(db *database) error {
		k, _, err := one(scanKey(db.lookKey.QueryRowContext(whole, key).Scan))
		switch {
		case err != nil:
		case k.sole != nil && k.sole.ID == id:
			e, found = *k.sole, true
		default:
			e, found, err = one(scanEntry(db.look.QueryRowContext(whole, key, id[:]).Scan))
		}
		return err
	})
	return e, found, err
}

// A line is what can be seen of a key's line at a glance.
type line struct {
	first  driver.LeaseID
	due    lockqueue.Micros
	hasDue bool
}

// lookAtLine reads who is first in line, and when the key next changes by
// itself. It may see two moments; what it returns only decides when to look
// again.
func (d *Driver) lookAtLine(key string) (l line, err error) {
	err = d.reading(whole, func(db *database) error {
		first, waited, err := one(scanEntry(db.lookFirst.QueryRowContext(whole, key).Scan))
		if err != nil {
			return err
		}
		k, _, err := one(scanKey(db.lookKey.QueryRowContext(whole, key).Scan))
		if err != nil {
			return err
		}
		holder, held := lockqueue.Entry{}, k.sole != nil
		if held {
			holder = *k.sole
		} else {
			holder, held, err = one(scanEntry(db.lookDue.QueryRowContext(whole, key).Scan))
		}
		l = line{first: first.ID, due: min(first.Expires, holder.Until()), hasDue: waited && held}
		return err
	})
	return l, err
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
