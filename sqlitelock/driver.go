package sqlitelock

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A Driver is an open store. It is safe for concurrent use.
type Driver struct {
	options   Options
	path      string
	retention lockqueue.Micros
	waiterTTL lockqueue.Micros
	listeners listeners
	post      *postbox

	// dbMu keeps db in place while somebody reads from it. Only the writing
	// goroutine replaces it, and only that one writes to it.
	dbMu    sync.RWMutex
	db      *database
	suspect bool // db is to be opened anew; of the writing goroutine

	gate    *gate // to the file, for the writing goroutine
	queue   chan *command
	arrived atomic.Int64   // how many commands were ever put into queue, for tests
	lights  atomic.Int64   // how many light transactions there were, for tests
	running sync.WaitGroup // the writing goroutine
	stop    chan struct{}  // closed to end it

	mu       sync.Mutex // orders enter before Close
	closing  chan struct{}
	closed   bool
	calls    sync.WaitGroup // of methods
	waits    int            // calls of Acquire that may wait; under watchMu
	watchMu  sync.Mutex
	unwatch  chan struct{}  // closed to end the watching goroutine
	watching sync.WaitGroup // the watching goroutine

	sweeper sweeper         // of the writing goroutine
	refused map[string]bool // addresses that refused during this commit; of the writing goroutine
}

var (
	_ driver.Driver = (*Driver)(nil)
	_ driver.Nudger = (*Driver)(nil)
)

// enter begins a call. It fails after Close and when ctx has ended.
func (d *Driver) enter(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return driver.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("start command: %w", err)
	}
	d.calls.Add(1)
	return nil
}

// Renew implements [driver.Driver].
func (d *Driver) Renew(ctx context.Context, h driver.Hold, ttl time.Duration) error {
	if ttl <= 0 || ttl > driver.MaxTTL {
		return fmt.Errorf("check ttl: %w: want more than 0 and at most %v, got %v", driver.ErrInvalid, driver.MaxTTL, ttl)
	}
	return d.run(ctx, &command{key: h.Key, step: func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
		return lockqueue.Renew(v, now, h.ID, h.Token, lockqueue.FromDuration(ttl))
	}})
}

// Release implements [driver.Driver].
func (d *Driver) Release(ctx context.Context, h driver.Hold) error {
	return d.run(ctx, &command{key: h.Key, ends: true, step: func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
		return lockqueue.Release(v, now, h.ID)
	}})
}

// Break implements [driver.Driver].
func (d *Driver) Break(ctx context.Context, key string, id driver.LeaseID, how driver.BreakHow) error {
	if how > driver.BreakNow {
		return fmt.Errorf("check break: %w: no way %d to break a lease", driver.ErrInvalid, how)
	}
	return d.run(ctx, &command{key: key, ends: true, breaks: true, step: func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
		return lockqueue.Break(v, now, id, how)
	}})
}

// run runs a command that does not wait in line.
func (d *Driver) run(ctx context.Context, c *command) error {
	if err := driver.CheckKey(c.key); err != nil {
		return err
	}
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.calls.Done()
	if _, err := d.do(ctx, c); err != nil {
		return err
	}
	return c.result.Err(c.key, 0, c.now)
}

// Capabilities implements [driver.Driver]. The store lacks nothing.
func (d *Driver) Capabilities() driver.Capabilities { return driver.Capabilities{} }

// Nudge implements [driver.Nudger]. A lease that was granted through another
// store, and is renewed here, is not heard of.
func (d *Driver) Nudge(h driver.Hold, f func()) (stop func()) {
	return d.listeners.addNudge(h.Key, h.ID, f)
}

// Close implements [driver.Driver]. It takes no longer than the commands that
// are under way, which [Options.BusyTimeout] bounds as far as the disk does.
func (d *Driver) Close() error {
	d.mu.Lock()
	first := !d.closed
	if first {
		d.closed = true
		close(d.closing)
	}
	d.mu.Unlock()
	d.calls.Wait() // Those who wait in line withdraw.
	if first {
		close(d.stop)
	}
	d.running.Wait()
	d.watching.Wait()
	d.post.close()
	if first {
		d.gate.close()
	}
	d.dbMu.Lock()
	defer d.dbMu.Unlock()
	d.db.close()
	return nil
}
