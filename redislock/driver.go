package redislock

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/redislock/internal/script"
)

const (
	// waiterTTL is how long a waiter keeps its place in line without being
	// heard of.
	waiterTTL = 15 * time.Second
	// withdrawLimit bounds the withdrawal of an attempt when the driver closes,
	// and closeLimit all that is under way then.
	withdrawLimit = 2 * time.Second
	closeLimit    = withdrawLimit + 500*time.Millisecond
)

// A Driver keeps locks in Redis. It implements [driver.Driver] and
// [driver.Nudger], and is safe for concurrent use.
type Driver struct {
	client    rueidis.Client
	prefix    string
	retention time.Duration
	cluster   bool
	conns     *conns // those of a client of our own; nil for a user's
	ears      *ears
	unsure    unsure
	last      atomic.Pointer[lastArgs]

	closing  context.Context //nolint:containedctx // It ends with Close, and the subscriptions with it.
	close    context.CancelFunc
	mu       sync.Mutex
	closed   bool
	calls    sync.WaitGroup
	isClosed chan struct{}
}

var (
	_ driver.Driver = (*Driver)(nil)
	_ driver.Nudger = (*Driver)(nil)
)

// enter begins a call, which Close waits for.
func (d *Driver) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return driver.ErrClosed
	}
	d.calls.Add(1)
	return nil
}

// isShut reports whether Close has been called.
func (d *Driver) isShut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// keys are the names that a script is given. On one server two are enough. In a
// Cluster it is all, so that a slot on the move refuses before the script runs.
func (d *Driver) keys(key string) (*script.Keys, error) {
	names := script.PairFor
	if d.cluster {
		names = script.KeysFor
	}
	keys, err := names(d.prefix, key)
	return &keys, err
}

// Renew implements [driver.Driver].
func (d *Driver) Renew(ctx context.Context, h driver.Hold, ttl time.Duration) error {
	if ttl <= 0 || ttl > driver.MaxTTL {
		return fmt.Errorf("renew lease: %w: want a TTL of more than 0 and at most %v, got %v", driver.ErrInvalid, driver.MaxTTL, ttl)
	}
	return d.command(ctx, "renew lease", &script.Renew, h.Key, script.RenewArgs(h.ID, h.Token, lockqueue.FromDuration(ttl), d.retention))
}

// Release implements [driver.Driver].
func (d *Driver) Release(ctx context.Context, h driver.Hold) error {
	// An acquire that was never answered may still be on its way: its id must not
	// begin anew. Who does not know the token has seen no answer.
	tomb := script.TombIfWithdrawn
	if h.Token == 0 || d.unsure.has(h.ID) {
		tomb = script.TombAlways
	}
	err := d.command(ctx, "release lease", &script.Release, h.Key, script.ReleaseArgs(h.ID, tomb, d.retention))
	if answered(err) {
		d.unsure.forget(h.ID)
		d.ears.tell(script.Message{Kind: script.WithdrawnMessage, ID: h.ID})
	}
	return err
}

// Break implements [driver.Driver].
func (d *Driver) Break(ctx context.Context, key string, id driver.LeaseID, how driver.BreakHow) error {
	return d.command(ctx, "break lease", &script.Break, key, script.BreakArgs(id, how, d.retention))
}

// command runs a script that answers no more than whether it was done.
func (d *Driver) command(ctx context.Context, what string, s *script.Script, key string, args []string) error {
	if err := d.enter(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer d.calls.Done()
	keys, err := d.keys(key)
	if err == nil {
		err = driver.CheckKey(key)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	answer, err := d.run(ctx, s, keys, args)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if isDone(&answer) {
		return nil
	}
	reply, err := parse(answer)
	if err == nil {
		err = reply.Err(key, 0)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Capabilities implements [driver.Driver].
func (d *Driver) Capabilities() driver.Capabilities { return driver.Capabilities{} }

// Close implements [driver.Driver].
func (d *Driver) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		<-d.isClosed
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	defer close(d.isClosed)
	d.ears.stop() // Those who wait leave the line while the connection is there.
	left := make(chan struct{})
	d.ears.work.Go(func() {
		d.calls.Wait()
		close(left)
	})
	timer := time.NewTimer(closeLimit)
	defer timer.Stop()
	select {
	case <-left:
	case <-timer.C:
	}
	d.close()
	if d.conns != nil {
		d.conns.cut() // Who still waits for an answer gets none.
	}
	<-left // Over somebody else's client, their contexts and the client's own limits bound them.
	d.ears.work.Wait()
	if d.conns != nil {
		d.client.Close()
	}
	return nil
}
