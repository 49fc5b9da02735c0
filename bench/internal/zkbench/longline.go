package zkbench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stilelock/stile/bench/internal/measure"
	"github.com/stilelock/stile/bench/internal/report"
	"github.com/stilelock/stile/bench/internal/work"
)

const (
	// lineClients is how many clients the waiters of a long line belong to.
	lineClients = 8
	// fullLine is how many hand-overs are counted before the line is much
	// shorter.
	fullLine = 200
	// lineLimit is how long a long line may take to form, or to be served.
	lineLimit = 2 * time.Minute
	// quiet is how long nothing must have been asked for a line to be formed.
	quiet = 500 * time.Millisecond
)

var (
	errOrder   = errors.New("waiters were served in another order than they stood in line")
	errToken   = errors.New("a fencing token was not greater than the one before")
	errTooLong = errors.New("it takes too long")
)

// A lineRun is what a long line gave.
type lineRun struct {
	joins, handOvers traffic
	formed, served   time.Duration
	overlaps, wrong  int
	failed           error // a promise of stile's that was broken
}

func (r *lineRun) values(n, counted int) report.Values {
	joins, handOvers := float64(n), float64(counted)
	return report.Values{
		"requests/hand-over":      measure.PerUnit(float64(r.handOvers.requests), handOvers),
		"watches fired/hand-over": measure.PerUnit(float64(r.handOvers.events), handOvers),
		"bytes/hand-over":         measure.PerUnit(float64(r.handOvers.bytes), handOvers),
		"requests/join":           measure.PerUnit(float64(r.joins.requests), joins),
		"bytes/join":              measure.PerUnit(float64(r.joins.bytes), joins),
		"joins/s":                 measure.PerUnit(joins, r.formed.Seconds()),
		"hand-overs/s":            measure.PerUnit(joins, r.served.Seconds()),
		"out of order":            float64(r.wrong), "overlaps": float64(r.overlaps),
	}
}

// longLine has n wait for one key and then serves them all.
func (b *bench) longLine(ctx context.Context, l *library, key string, n int) (*lineRun, error) {
	tap, err := startTap(ctx, b.server.addr)
	if err != nil {
		return nil, err
	}
	defer tap.close()
	if l.dial == nil {
		return b.javaLine(ctx, tap, key, n)
	}
	ctx, stop := context.WithCancel(ctx)
	q := &queue{pauseAt: min(n, fullLine), paused: make(chan struct{}), resume: make(chan struct{})}
	clients, hangUp, err := dial(ctx, l, tap.addr(), lineClients)
	defer func() {
		stop()
		q.group.Wait()
		if err == nil {
			hangUp()
		}
	}()
	if err != nil {
		return nil, err
	}
	return q.run(ctx, b, tap, clients, key, n)
}

func (b *bench) javaLine(ctx context.Context, tap *tap, key string, n int) (*lineRun, error) {
	r := &lineRun{}
	var at time.Time
	var before traffic
	result, err := b.java.run(ctx, fmt.Sprintf("line addr=%s key=%s clients=%d waiters=%d pause=%d",
		tap.addr(), javaPath(key), lineClients, n, min(n, fullLine)), func(step string) error {
		switch step {
		case "begin":
			at, before = time.Now(), tap.traffic()
		case "joined":
			formed, err := b.formed(ctx, tap, n)
			r.formed, r.joins = formed.Sub(at), tap.traffic().since(before)
			before = tap.traffic()
			return err
		default:
			r.handOvers = tap.traffic().since(before)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.served, r.overlaps = result.Took, result.Overlaps
	return r, nil
}

// formed waits until n wait and one holds, and nobody asks for anything any
// more, and returns when the last asked.
func (b *bench) formed(ctx context.Context, tap *tap, n int) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, lineLimit)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	last, since := -1, time.Now()
	for {
		if now := tap.traffic().requests; now != last {
			last, since = now, time.Now()
		} else if time.Since(since) >= quiet {
			ephemerals, watches, err := b.server.waiting(ctx)
			if err != nil {
				return since, err
			}
			if ephemerals >= float64(n+1) && watches >= float64(n) {
				return since, nil
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return since, fmt.Errorf("form a line of %d: %w", n, errTooLong)
		}
	}
}

// A queue is a long line of a library that is called.
type queue struct {
	group sync.WaitGroup

	mu       sync.Mutex
	served   []work.Hold
	last     uint64 // token
	inside   bool
	overlaps int
	wrong    int   // tokens that did not rise
	err      error // the first trouble

	pauseAt int           // after so many hand-overs the holder waits for resume
	paused  chan struct{} // closed then
	resume  chan struct{}
}

func (q *queue) run(ctx context.Context, b *bench, tap *tap, clients []work.Client, key string, n int) (*lineRun, error) {
	first, err := clients[0].Acquire(ctx, key)
	if err != nil {
		return nil, err
	}
	q.look(first)
	// So that each has its session and its folder.
	for i, c := range clients {
		hold, err := c.Acquire(ctx, fmt.Sprintf("%s/warm/%d", key, i))
		if err != nil {
			return nil, err
		}
		if err := hold.Release(ctx); err != nil {
			return nil, err
		}
	}
	r := &lineRun{}
	at, before := time.Now(), tap.traffic()
	for i := range n {
		q.group.Go(func() { q.wait(ctx, clients[i%len(clients)], key) })
	}
	formed, err := b.formed(ctx, tap, n)
	if err != nil {
		return nil, errors.Join(err, q.failed())
	}
	r.formed, r.joins = formed.Sub(at), tap.traffic().since(before)
	line, err := lineOf(ctx, clients[0], key)
	if err != nil {
		return nil, err
	}
	at, before = time.Now(), tap.traffic()
	if err := first.Release(ctx); err != nil {
		return nil, err
	}
	if err := q.await(ctx, q.paused); err != nil {
		return nil, err
	}
	r.handOvers = tap.traffic().since(before)
	paused := time.Now()
	close(q.resume)
	stopped := time.Since(paused)
	done := make(chan struct{})
	go func() {
		q.group.Wait()
		close(done)
	}()
	if err := q.await(ctx, done); err != nil {
		return nil, err
	}
	r.served = time.Since(at) - stopped
	r.overlaps, r.wrong = q.overlaps, disorder(line, q.served)
	if r.wrong > 0 {
		r.failed = fmt.Errorf("%w: %d of %d", errOrder, r.wrong, n)
	}
	if q.wrong > 0 {
		r.failed = errors.Join(r.failed, fmt.Errorf("%w, %d times", errToken, q.wrong))
	}
	return r, nil
}

// wait stands in line, and passes the key on at once.
func (q *queue) wait(ctx context.Context, c work.Client, key string) {
	hold, err := c.Acquire(ctx, key)
	if err != nil {
		q.fail(err)
		return
	}
	if q.enter(hold) {
		close(q.paused)
		select {
		case <-q.resume:
		case <-ctx.Done():
		}
	}
	q.mu.Lock()
	q.inside = false
	q.mu.Unlock()
	if err := hold.Release(ctx); err != nil {
		q.fail(err)
	}
}

// enter notes a grant, and reports whether it is the one to stop at.
func (q *queue) enter(hold work.Hold) bool {
	q.look(hold)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.inside {
		q.overlaps++
	}
	q.inside = true
	q.served = append(q.served, hold)
	return len(q.served) == q.pauseAt
}

// look checks the token of a grant, if there is one.
func (q *queue) look(hold work.Hold) {
	token, ok := tokenOf(hold)
	if !ok {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if token <= q.last {
		q.wrong++
	}
	q.last = token
}

func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
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
			return fmt.Errorf("serve the line: %w", err)
		}
	}
}
