package redisbench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/bench/internal/measure"
	"github.com/stilelock/stile/bench/internal/report"
	"github.com/stilelock/stile/bench/internal/work"
)

// errNotOwn is for what may be done on a server of our own only.
var errNotOwn = errors.New("this item counts all keys of the server, so it runs on one that it started: leave out -addr, or choose other items with -only")

// scaleContests are for stile alone: what others have no line for.
func scaleContests(c Config) []*contest {
	lines := &contest{rounds: idleRounds, alone: true, item: &report.Item{
		Name: "long-line",
		About: fmt.Sprintf("Stile alone, %d clients: so many goroutines wait for one key, then all are served. Script time is the mean of the scripts\n"+
			"that ran during the first hand-overs (at most %d of them), with the whole line still there.", lineClients, fullLine),
		Metrics: []report.Metric{
			{Name: "script µs/hand-over", Unit: ""},
			{Name: "µs/script"},
			{Name: "hand-overs/s"},
			{Name: "bytes/waiter (MEMORY USAGE)"},
			{Name: "bytes/waiter (used_memory)"},
			{Name: "served"},
			{Name: "out of order"},
		},
	}}
	for _, n := range c.Waiters {
		lines.add(stileLibrary()[0], fmt.Sprintf("%d waiters", n), func(ctx context.Context, b *bench, key string) (report.Values, error) {
			return longLine(ctx, b, key, n)
		})
	}
	keys := &contest{rounds: 1, alone: true, item: &report.Item{
		Name: "many-keys",
		About: fmt.Sprintf("Stile alone: %d goroutines over one client lock and release %d different keys once (TTL %v, retention %v).\n"+
			"How many Redis keys there are right after, and how long until there is none.", c.Workers, c.Keys, c.KeyTTL, c.Keep),
		Metrics: []report.Metric{
			{Name: "pairs/s"},
			{Name: "Redis keys right after"},
			{Name: "MB right after"},
			{Name: "s until none is left"},
			{Name: "Redis keys left"},
		},
	}}
	keys.add(stileLibrary()[0], fmt.Sprintf("%d keys", c.Keys), manyKeys)
	return []*contest{lines, keys}
}

// manyKeys locks and releases many different keys once, and waits until Redis
// has forgotten them all.
func manyKeys(ctx context.Context, b *bench, key string) (report.Values, error) {
	if !b.server.own() {
		return nil, errNotOwn
	}
	query := fmt.Sprintf("?retention=%v", b.config.Keep)
	c, err := openStile(ctx, b.server.addr, query, &stile.Options{TTL: b.config.KeyTTL})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	took, err := work.RunOnce(ctx, c, key, b.config.Keys, b.config.Workers)
	if err != nil {
		return nil, err
	}
	count, err := b.server.admin.DBSize(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("count keys: %w", err)
	}
	used, err := b.server.usedMemory(ctx)
	if err != nil {
		return nil, err
	}
	done := time.Now()
	// Redis finds most expired keys by itself within a second or two; a key that
	// is still there a minute later has no end.
	left := int64(-1)
	err = until(ctx, b.config.KeyTTL+b.config.Keep+time.Minute, func() (bool, error) {
		left, err = b.server.admin.DBSize(ctx).Result()
		return left == 0, err
	})
	values := report.Values{
		"pairs/s": measure.PerUnit(float64(b.config.Keys), took.Seconds()), "Redis keys right after": float64(count),
		"MB right after": used / 1e6, "s until none is left": time.Since(done).Seconds(), "Redis keys left": float64(left),
	}
	if errors.Is(err, errTooLong) {
		return values, fmt.Errorf("%d Redis keys are left long after the retention: %w", left, err)
	}
	if err != nil {
		return nil, err
	}
	return values, nil
}

// usedMemory is what the server says that it has allocated, in bytes.
func (s *server) usedMemory(ctx context.Context) (float64, error) {
	info, err := s.admin.Info(ctx, "memory").Result()
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	var used float64
	if _, err := fmt.Sscan(field(info, "used_memory"), &used); err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	return used, nil
}

// keyMemory is what MEMORY USAGE says of all keys together, in bytes.
func (s *server) keyMemory(ctx context.Context) (float64, error) {
	total := 0.0
	for keys := s.admin.Scan(ctx, 0, "*", 1000).Iterator(); ; {
		if !keys.Next(ctx) {
			return total, keys.Err()
		}
		bytes, err := s.admin.MemoryUsage(ctx, keys.Val(), 0).Result()
		if err != nil {
			return 0, fmt.Errorf("read memory of key %q: %w", keys.Val(), err)
		}
		total += float64(bytes)
	}
}

// waiting is how many stand in the line of the only key in use.
func (s *server) waiting(ctx context.Context) (int, error) {
	n := 0
	for keys := s.admin.Scan(ctx, 0, "stile:line:*", 1000).Iterator(); ; {
		if !keys.Next(ctx) {
			return n, keys.Err()
		}
		count, err := s.admin.ZCard(ctx, keys.Val()).Result()
		if err != nil {
			return 0, fmt.Errorf("count waiters: %w", err)
		}
		n += int(count)
	}
}

var errTooLong = errors.New("it took too long")

// until asks every few milliseconds whether it is so, and waits at most for
// limit.
func until(ctx context.Context, limit time.Duration, isSo func() (bool, error)) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for start := time.Now(); ; {
		if so, err := isSo(); so || err != nil {
			return err
		}
		if time.Since(start) > limit {
			return fmt.Errorf("%w: more than %v", errTooLong, limit)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
