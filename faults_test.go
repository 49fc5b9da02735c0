package stile_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/memlock"
)

// bubbleClock is a clock of leases that a synctest bubble moves.
func bubbleClock() driver.Clock {
	start := time.Now()
	return func() driver.Instant { return driver.Instant(time.Since(start) + time.Hour) }
}

// A network stands between a locker and a real store in memory, and can fail.
type network struct {
	*memlock.Driver

	mu sync.Mutex
	// before is asked when a command is sent, after when its reply comes back.
	// An error of before keeps the command from the store; one of after loses
	// the reply.
	before, after func(ctx context.Context, op string) error
	sent          map[string]int
}

func (n *network) set(before, after func(ctx context.Context, op string) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.before, n.after = before, after
}

func (n *network) count(op string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent[op]
}

func (n *network) run(ctx context.Context, op string, command func() error) error {
	n.mu.Lock()
	before, after := n.before, n.after
	if n.sent == nil {
		n.sent = make(map[string]int)
	}
	n.sent[op]++
	n.mu.Unlock()
	if before != nil {
		if err := before(ctx, op); err != nil {
			return err
		}
	}
	if err := command(); err != nil {
		return err
	}
	if after != nil {
		return after(ctx, op)
	}
	return nil
}

func (n *network) Acquire(ctx context.Context, req driver.Request) (grant driver.Grant, err error) {
	err = n.run(ctx, "acquire", func() (err error) {
		grant, err = n.Driver.Acquire(ctx, req)
		return err
	})
	return grant, err
}

func (n *network) Renew(ctx context.Context, h driver.Hold, ttl time.Duration) error {
	return n.run(ctx, "renew", func() error { return n.Driver.Renew(ctx, h, ttl) })
}

func (n *network) Release(ctx context.Context, h driver.Hold) error {
	return n.run(ctx, "release", func() error { return n.Driver.Release(ctx, h) })
}

// gone is a network that swallows everything until the context ends.
func gone(ctx context.Context, _ string) error {
	<-ctx.Done()
	return fmt.Errorf("%w: %w", driver.ErrAmbiguous, ctx.Err())
}

// refused is a network that says at once that nothing was sent.
func refused(context.Context, string) error {
	return fmt.Errorf("dial store: %w", driver.ErrUnavailable)
}

// only limits a fault to one kind of command, and to its first n.
func only(op string, n int, fault func(context.Context, string) error) func(context.Context, string) error {
	var mu sync.Mutex
	return func(ctx context.Context, got string) error {
		mu.Lock()
		hit := got == op && n > 0
		if hit {
			n--
		}
		mu.Unlock()
		if hit {
			return fault(ctx, got)
		}
		return nil
	}
}

// A world is a store in memory with two lockers: mine behind a network, and
// another's without.
type world struct {
	net    *network
	mine   *stile.Locker
	others *stile.Locker
	events *recorder
}

// newWorld is for use in a synctest bubble; it closes what it opened.
func newWorld(t *testing.T) *world {
	t.Helper()
	clock := bubbleClock()
	store := memlock.New(&memlock.Options{Clock: clock})
	w := &world{net: &network{Driver: store}, events: &recorder{}}
	w.others = stile.New(store.Share(), &stile.Config{Owner: "other", Clock: clock})
	w.mine = stile.New(w.net, &stile.Config{Owner: "me", Clock: clock, Observe: w.events.observe})
	t.Cleanup(func() {
		if err := w.mine.Close(); err != nil {
			t.Errorf("close mine: %v", err)
		}
		if err := w.others.Close(); err != nil {
			t.Errorf("close others: %v", err)
		}
	})
	return w
}

// state is what the store knows of the key.
func (w *world) state(t *testing.T, key string) stile.State {
	t.Helper()
	state, err := w.others.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get key: %v", err)
	}
	return state
}

func (w *world) acquire(t *testing.T, key string, opts *stile.Options) *stile.Lease {
	t.Helper()
	lease, err := w.mine.Acquire(t.Context(), key, opts)
	if err != nil {
		t.Fatalf("acquire %q: %v", key, err)
	}
	return lease
}

// A recorder keeps the events that it is told.
type recorder struct {
	mu     sync.Mutex
	events []stile.Event
}

func (r *recorder) observe(e stile.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) count(kind stile.EventKind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func (r *recorder) last(kind stile.EventKind) (stile.Event, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.events) - 1; i >= 0; i-- {
		if r.events[i].Kind == kind {
			return r.events[i], true
		}
	}
	return stile.Event{}, false
}
