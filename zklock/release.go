package zklock

import (
	"context"
	"errors"
	"fmt"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
)

// Release implements [driver.Driver].
func (d *Driver) Release(ctx context.Context, h driver.Hold) error {
	if err := d.enter(ctx); err != nil {
		return fmt.Errorf("release lease: %w", err)
	}
	a := d.attempt(h.ID)
	var err error
	if a == nil || a.req.Key != h.Key {
		err = d.unknown(ctx, &h)
	} else {
		err = a.end(ctx)
	}
	if err != nil {
		return fmt.Errorf("release lease: %w", err)
	}
	return nil
}

// end withdraws the attempt if it waits, and ends its lease.
func (a *attempt) end(ctx context.Context) error {
	a.stop(errWithdrawn)
	select {
	case <-a.done:
	case <-ctx.Done():
		return fmt.Errorf("%w: the attempt is being withdrawn: %w", driver.ErrAmbiguous, ctx.Err())
	}
	a.mu.Lock()
	why := a.err
	a.mu.Unlock()
	switch {
	case errors.Is(why, driver.ErrAmbiguous):
		return why
	case why != nil && errors.Is(why, errWithdrawn):
		return nil
	case why != nil:
		return driver.ErrLost
	}
	return a.release(ctx)
}

// release deletes the node of a lease. The next in line hears it.
func (a *attempt) release(ctx context.Context) error {
	if !a.close() { // Another call is about it, or it was lost.
		select {
		case <-a.gone:
			return driver.ErrLost
		case <-ctx.Done():
			return fmt.Errorf("%w: another release is under way: %w", driver.ErrAmbiguous, ctx.Err())
		}
	}
	s := a.session()
	a.mu.Lock()
	version, broken := a.version, a.broken
	a.mu.Unlock()
	err := a.d.remove(ctx, s, a.node, version)
	if errors.Is(err, zk.BadVersion) { // Somebody has changed it, most likely to break the lease.
		if found, got := s.Start(&zk.Get{Path: a.node})[0].Wait(ctx); got == nil {
			broken = broken || readRecord(found.Data).Broken
		}
		err = a.d.remove(ctx, s, a.node, -1)
	}
	if err == nil && a.lowest {
		a.slot.floors.left(s, a.folder, &a.plan, number(a.node), !a.waited)
	}
	switch {
	case err == nil && broken:
		a.finish(driver.ErrLost)
		return errBroken
	case err == nil:
		a.finish(driver.ErrLost)
		return nil
	case errors.Is(err, zk.NoNode), s.Err() != nil:
		a.finish(driver.ErrLost)
		return driver.ErrLost
	}
	a.d.goWork(func() { a.reap(s) })
	return fmt.Errorf("%w: the release goes on: %w", driver.ErrAmbiguous, err)
}

// Break implements [driver.Driver].
func (d *Driver) Break(ctx context.Context, key string, id driver.LeaseID, how driver.BreakHow) error {
	if err := driver.CheckKey(key); err != nil {
		return fmt.Errorf("break lease: %w", err)
	}
	if err := d.enter(ctx); err != nil {
		return fmt.Errorf("break lease: %w", err)
	}
	if err := d.breakLease(ctx, key, id, how); err != nil {
		return fmt.Errorf("break lease: %w", err)
	}
	return nil
}

func (d *Driver) breakLease(ctx context.Context, key string, id driver.LeaseID, how driver.BreakHow) error {
	it, err := d.sessions.get(ctx, 0)
	if err != nil {
		return err
	}
	defer it.give()
	folder := d.folder(key)
	l, err := d.line(ctx, it.session, folder)
	if err != nil {
		return err
	}
	at := l.find(id)
	if at < 0 || !l.holds(at) {
		return driver.ErrLost
	}
	path := folder + "/" + l[at].name
	if how == driver.BreakNow {
		err = d.remove(ctx, it.session, path, -1)
	} else {
		err = d.mark(ctx, it.session, path)
	}
	if errors.Is(err, zk.NoNode) {
		return driver.ErrLost
	}
	return explain(err)
}

// mark writes into a node that its lease is broken. Its holder hears it.
func (d *Driver) mark(ctx context.Context, s *zk.Session, path string) error {
	for {
		found, err := s.Start(&zk.Get{Path: path})[0].Wait(ctx)
		if err == nil {
			r := readRecord(found.Data)
			r.Broken = true
			var data []byte
			if data, err = r.data(); err != nil {
				return err
			}
			_, err = s.Start(&zk.Set{Path: path, Data: data, Version: found.Stat.Version})[0].Wait(ctx)
		}
		if errors.Is(err, zk.BadVersion) || isLost(err) && ctx.Err() == nil && s.Err() == nil {
			continue
		}
		return err
	}
}
