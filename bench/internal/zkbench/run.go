package zkbench

import (
	"context"
	"fmt"
	"time"

	"github.com/stilelock/stile/bench/internal/work"
)

// The functions below have one library do one kind of work, each in its own
// way: called, or told.

// uncontended has workers take and give back a key of their own each, over so
// many clients.
func (b *bench) uncontended(ctx context.Context, l *library, key string, clients, workers int, d time.Duration, w *window) (work.Uncontended, error) {
	if l.dial == nil {
		r, err := b.java.run(ctx, fmt.Sprintf("uncontended addr=%s key=%s clients=%d workers=%d millis=%d warm=%d",
			b.server.addr, javaPath(key), clients, workers, d.Milliseconds(), d.Milliseconds()/10), measured(ctx, w))
		if err != nil {
			return work.Uncontended{}, err
		}
		w.used = r.CPU
		return work.Uncontended{Pairs: r.Waits, Took: r.Took}, nil
	}
	all, hangUp, err := dial(ctx, l, b.server.addr, clients)
	if err != nil {
		return work.Uncontended{}, err
	}
	defer hangUp()
	return work.RunUncontended(ctx, crowd(all), key, workers, d, w)
}

// contended has clients fight for one key.
func (b *bench) contended(ctx context.Context, l *library, key string, clients int, d time.Duration, w *window) (work.Contended, error) {
	if l.dial == nil {
		r, err := b.java.run(ctx, fmt.Sprintf("contended addr=%s key=%s clients=%d millis=%d",
			b.server.addr, javaPath(key), clients, d.Milliseconds()), measured(ctx, w))
		if err != nil {
			return work.Contended{}, err
		}
		w.used = r.CPU
		return work.Contended{Counts: r.Counts, Waits: r.Waits, Longest: r.Longest, Changes: r.Changes, Overlaps: r.Overlaps, Took: r.Took}, nil
	}
	all, hangUp, err := dial(ctx, l, b.server.addr, clients)
	if err != nil {
		return work.Contended{}, err
	}
	defer hangUp()
	return work.RunContended(ctx, all, key, 0, 0, d, w)
}

// handOver has two clients hand a key to and fro.
func (b *bench) handOver(ctx context.Context, l *library, key string, d time.Duration, w *window) (work.HandOver, error) {
	if l.dial == nil {
		r, err := b.java.run(ctx, fmt.Sprintf("handover addr=%s key=%s clients=2 millis=%d",
			b.server.addr, javaPath(key), d.Milliseconds()), measured(ctx, w))
		if err != nil {
			return work.HandOver{}, err
		}
		return work.HandOver{Latencies: r.Waits, Overlaps: r.Overlaps}, nil
	}
	all, hangUp, err := dial(ctx, l, b.server.addr, 2)
	if err != nil {
		return work.HandOver{}, err
	}
	defer hangUp()
	return work.RunHandOver(ctx, all[0], all[1], key, d, w)
}

// idle has one hold and waiters wait, all over one client, or each over its
// own, and returns what passed between them and the server.
func (b *bench) idle(ctx context.Context, l *library, key string, waiters int, shared bool, settleFor, d time.Duration) (sessions int, t traffic, err error) {
	tap, err := startTap(ctx, b.server.addr)
	if err != nil {
		return 0, t, err
	}
	defer tap.close()
	clients := waiters + 1
	if shared {
		clients = 1
	}
	w := &carried{tap: tap}
	if l.dial == nil {
		_, err := b.java.run(ctx, fmt.Sprintf("idle addr=%s key=%s clients=%d waiters=%d settle=%d millis=%d",
			tap.addr(), javaPath(key), clients, waiters, settleFor.Milliseconds(), d.Milliseconds()), measured(ctx, w))
		return w.sessions, w.sum, err
	}
	all, hangUp, err := dial(ctx, l, tap.addr(), clients)
	if err != nil {
		return 0, t, err
	}
	defer hangUp()
	line := make([]work.Client, waiters)
	for i := range line {
		line[i] = all[(i+1)%len(all)]
	}
	err = work.RunIdle(ctx, all[0], line, key, settleFor, d, w)
	return w.sessions, w.sum, err
}

// carried is a work.Window over a tap.
type carried struct {
	tap      *tap
	sessions int // at the end
	sum      traffic
}

// Begin reads the counts.
func (c *carried) Begin(context.Context) error {
	c.sum = c.tap.traffic()
	return nil
}

// End reads them again.
func (c *carried) End(context.Context) error {
	now := c.tap.traffic()
	c.sessions, c.sum = now.sessions, now.since(c.sum)
	return nil
}
