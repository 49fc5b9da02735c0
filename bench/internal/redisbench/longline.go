package redisbench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/bench/internal/measure"
	"github.com/stilelock/stile/bench/internal/report"
)

const (
	// lineClients is how many clients the waiters of a long line belong to.
	lineClients = 8
	// fullLine is how many hand-overs are measured before the line is much
	// shorter.
	fullLine = 200
	// lineLimit is how long a long line may take to form, or to be served.
	lineLimit = 2 * time.Minute
)

var (
	errOrder = errors.New("waiters were served in another order than they stood in line")
	errToken = errors.New("a fencing token was not greater than the one before")
)

// A queue is a long line: who was served, in the order of service.
type queue struct {
	mu     sync.Mutex
	served []stile.LeaseID
	last   uint64
	err    error
	inside bool

	pauseAt int           // after so many hand-overs the holder waits for resume
	paused  chan struct{} // closed then
	resume  chan struct{}
}

// longLine has n goroutines wait for one key and then serves them all.
func longLine(ctx context.Context, b *bench, key string, n int) (report.Values, error) {
	if !b.server.own() {
		return nil, errNotOwn
	}
	ctx, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	var lockers []*stileClient
	defer func() {
		stop()
		group.Wait()
		for _, c := range lockers {
			c.Close()
		}
	}()
	for range lineClients {
		c, err := openStile(ctx, b.server.addr, "", nil)
		if err != nil {
			return nil, err
		}
		lockers = append(lockers, c)
	}
	first, err := lockers[0].locks.Acquire(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	before, err := b.server.sizes(ctx)
	if err != nil {
		return nil, err
	}
	q := &queue{pauseAt: min(n, fullLine), paused: make(chan struct{}), resume: make(chan struct{}), last: first.Token()}
	for i := range n {
		group.Go(func() { q.wait(ctx, lockers[i%lineClients].locks, key) })
	}
	if err := until(ctx, lineLimit, func() (bool, error) {
		in, err := b.server.waiting(ctx)
		return in == n, errors.Join(err, q.failed())
	}); err != nil {
		return nil, fmt.Errorf("form a line of %d: %w", n, err)
	}
	after, err := b.server.sizes(ctx)
	if err != nil {
		return nil, err
	}
	state, err := lockers[0].locks.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	w := &window{server: b.server}
	if err := w.Begin(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	if err := first.Release(ctx); err != nil {
		return nil, err
	}
	if err := q.await(ctx, q.paused); err != nil {
		return nil, err
	}
	if err := w.End(ctx); err != nil {
		return nil, err
	}
	paused := time.Now()
	close(q.resume)
	stopped := time.Since(paused)
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	if err := q.await(ctx, done); err != nil {
		return nil, err
	}
	took, cost := time.Since(start)-stopped, w.cost()
	wrong := disorder(state.Waiters, q.served)
	values := report.Values{
		"script µs/hand-over": measure.PerUnit(cost.usec, float64(q.pauseAt)), "µs/script": measure.PerUnit(cost.usec, cost.requests),
		"hand-overs/s":                measure.PerUnit(float64(n), took.Seconds()),
		"bytes/waiter (MEMORY USAGE)": (after.keys - before.keys) / float64(n),
		"bytes/waiter (used_memory)":  (after.used - before.used) / float64(n),
		"served":                      float64(len(q.served)), "out of order": float64(wrong),
	}
	if wrong > 0 {
		return values, fmt.Errorf("%w: %d of %d", errOrder, wrong, n)
	}
	return values, nil
}

// wait stands in line, and passes the key on at once.
func (q *queue) wait(ctx context.Context, locks *stile.Locker, key string) {
	lease, err := locks.Acquire(ctx, key, nil)
	if err != nil {
		q.fail(err)
		return
	}
	q.mu.Lock()
	if q.inside {
		q.err = errors.Join(q.err, ErrOverlap)
	}
	if lease.Token() <= q.last {
		q.err = errors.Join(q.err, fmt.Errorf("%w: %d after %d", errToken, lease.Token(), q.last))
	}
	q.inside, q.last = true, lease.Token()
	q.served = append(q.served, lease.ID())
	stop := len(q.served) == q.pauseAt
	q.mu.Unlock()
	if stop {
		close(q.paused)
		select {
		case <-q.resume:
		case <-ctx.Done():
		}
	}
	q.mu.Lock()
	q.inside = false
	q.mu.Unlock()
	if err := lease.Release(ctx); err != nil {
		q.fail(err)
	}
}

func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = errors.Join(q.err, err)
}

func (q *queue) failed() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

// await waits for ready, for a failure, or until it has taken too long.
func (q *queue) await(ctx context.Context, ready <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, lineLimit)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := q.failed()
		select {
		case <-ready:
			return err
		case <-ticker.C:
		case <-ctx.Done():
			err = errors.Join(err, errTooLong)
		}
		if err != nil {
			return fmt.Errorf("serve the line, %d served so far: %w", q.count(), err)
		}
	}
}

func (q *queue) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.served)
}

// disorder counts the places of the line at which another was served.
func disorder(line []stile.Waiter, served []stile.LeaseID) int {
	wrong := max(len(line)-len(served), len(served)-len(line))
	for i := range min(len(line), len(served)) {
		if line[i].ID != served[i] {
			wrong++
		}
	}
	return wrong
}

// sizes is what Redis needs, in bytes.
type sizes struct{ keys, used float64 }

func (s *server) sizes(ctx context.Context) (sizes, error) {
	keys, err := s.keyMemory(ctx)
	if err != nil {
		return sizes{}, err
	}
	used, err := s.usedMemory(ctx)
	return sizes{keys: keys, used: used}, err
}
