package memlock

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"sync"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// Options configure a store. A nil *Options is the same as its zero value.
type Options struct {
	// Clock is what leases are counted in. Default: [driver.SystemClock].
	Clock driver.Clock
	// Retention is how long the last token of an idle key is remembered.
	// Default: 1 hour.
	Retention time.Duration
}

// A Driver is one client of a store in memory. It is safe for concurrent use.
type Driver struct {
	store *store
	leave func() // what Close does last; may be nil

	mu     sync.Mutex // orders enter before Close
	closed chan struct{}
	waits  sync.WaitGroup
}

var (
	_ driver.Driver = (*Driver)(nil)
	_ driver.Nudger = (*Driver)(nil)
)

// New returns the first client of a new store.
func New(opts *Options) *Driver {
	if opts == nil {
		opts = &Options{}
	}
	return newClient(newStore(opts), nil)
}

func newClient(s *store, leave func()) *Driver {
	s.addClient()
	return &Driver{store: s, closed: make(chan struct{}), leave: leave}
}

// Share returns another client of the same store. Each is closed on its own.
func (d *Driver) Share() *Driver { return newClient(d.store, nil) }

// Acquire implements [driver.Driver].
func (d *Driver) Acquire(ctx context.Context, req driver.Request) (driver.Grant, error) {
	if err := d.ready(ctx); err != nil {
		return driver.Grant{}, err
	}
	if err := req.Check(); err != nil {
		return driver.Grant{}, err
	}
	req.Metadata = maps.Clone(req.Metadata) // The caller may change its map later.
	if !d.enter() {
		return driver.Grant{}, driver.ErrClosed
	}
	defer d.waits.Done()
	wait, token, err := d.store.acquire(&req)
	if err != nil || wait == nil {
		return driver.Grant{Token: token}, err
	}
	select {
	case <-wait.done:
		return d.answer(&req, wait)
	case <-ctx.Done():
		err = fmt.Errorf("wait for key: %w", ctx.Err())
	case <-d.closed:
		err = driver.ErrClosed
	}
	switch {
	case d.store.leaveLine(&req, wait):
		return driver.Grant{}, err
	case errors.Is(err, driver.ErrClosed) && wait.err == nil:
		// The grant came first, to nobody: its minimum hold does not count.
		_ = d.store.breakLease(req.Key, req.ID, driver.BreakNow)
		return driver.Grant{}, err
	default:
		return d.answer(&req, wait)
	}
}

// enter counts a call that may wait, unless the client is closed.
func (d *Driver) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.closed:
		return false
	default:
		d.waits.Add(1)
		return true
	}
}

func (d *Driver) answer(req *driver.Request, w *waiter) (driver.Grant, error) {
	if w.err != nil {
		return driver.Grant{}, fmt.Errorf("wait for key: the attempt was withdrawn: %w", w.err)
	}
	reading := req.Now() // First: a reading that is too early only shortens the deadline.
	age := d.store.now().Lease - w.since
	return driver.Grant{Token: w.token, From: reading.Add(-age.Duration())}, nil
}

// Renew implements [driver.Driver].
func (d *Driver) Renew(ctx context.Context, h driver.Hold, ttl time.Duration) error {
	if err := d.ready(ctx); err != nil {
		return err
	}
	return d.store.renew(h, ttl)
}

// Release implements [driver.Driver].
func (d *Driver) Release(ctx context.Context, h driver.Hold) error {
	if err := d.ready(ctx); err != nil {
		return err
	}
	return d.store.release(h.Key, h.ID)
}

// Break implements [driver.Driver].
func (d *Driver) Break(ctx context.Context, key string, id driver.LeaseID, how driver.BreakHow) error {
	if err := d.ready(ctx); err != nil {
		return err
	}
	return d.store.breakLease(key, id, how)
}

// List implements [driver.Driver].
func (d *Driver) List(ctx context.Context, prefix string) iter.Seq2[driver.State, error] {
	return func(yield func(driver.State, error) bool) {
		if err := d.ready(ctx); err != nil {
			yield(driver.State{}, err)
			return
		}
		for _, state := range d.store.list(prefix) {
			if !yield(state, nil) {
				return
			}
		}
	}
}

// Nudge implements [driver.Nudger].
func (d *Driver) Nudge(h driver.Hold, f func()) (stop func()) { return d.store.nudge(h.ID, f) }

// Capabilities implements [driver.Driver].
func (d *Driver) Capabilities() driver.Capabilities {
	return driver.Capabilities{Lacks: map[driver.Capability]string{
		driver.CapProcesses: "the store is the memory of one process",
		driver.CapDurable:   "the store ends with its last client",
	}}
}

// Close implements [driver.Driver].
func (d *Driver) Close() error {
	d.mu.Lock()
	select {
	case <-d.closed:
		d.mu.Unlock()
		return nil
	default:
		close(d.closed)
	}
	d.mu.Unlock()
	d.waits.Wait()
	d.store.removeClient()
	if d.leave != nil {
		d.leave()
	}
	return nil
}

func (d *Driver) ready(ctx context.Context) error {
	select {
	case <-d.closed:
		return driver.ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ask store: %w", err)
	}
	return nil
}

// wallNow is the wall clock for tokens and for people.
func wallNow() lockqueue.Micros { return lockqueue.Micros(time.Now().UnixMicro()) }
