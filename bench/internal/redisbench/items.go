package redisbench

import (
	"context"
	"fmt"
	"time"

	"github.com/stilelock/stile/bench/internal/measure"
	"github.com/stilelock/stile/bench/internal/report"
	"github.com/stilelock/stile/bench/internal/work"
)

// A run is one case in one round.
type run func(ctx context.Context, b *bench, key string) (report.Values, error)

// A contest is one kind of work and those who do it.
type contest struct {
	item   *report.Item
	rounds int  // at most so many; 0: as many as there are
	alone  bool // stile's own, with limits of its own
	runs   []run
}

func (c *contest) add(l *library, variant string, r run) {
	c.runs = append(c.runs, r)
	c.item.Rows = append(c.item.Rows, &report.Row{Library: l.name, Variant: variant})
}

const (
	hold  = 2 * time.Millisecond
	think = 10 * time.Millisecond
	// long is how much longer than others those runs take in which little
	// happens.
	long = 4
	// idleRounds is enough for what hardly differs from round to round.
	idleRounds = 2
)

// contests returns all items.
func contests(c Config) []*contest {
	var all []*contest
	add := func(name, about string, in dialed, r func(l *library) run, metrics ...report.Metric) *contest {
		contest := &contest{item: &report.Item{Name: name, About: about, Metrics: metrics}}
		for _, l := range libraries() {
			if l.in&in != 0 && (c.Libs == nil || c.Libs.MatchString(l.String())) {
				contest.add(l, l.variant, r(l))
			}
		}
		all = append(all, contest)
		return contest
	}
	add("uncontended-1", "One worker takes and gives back a key that nobody else wants. A pair is an acquire and its release.",
		alone, func(l *library) run { return uncontended(l, 1) },
		report.Metric{Name: "pair p50", Unit: "µs", Better: report.Lower}, report.Metric{Name: "pair p99", Unit: "µs"},
		report.Metric{Name: "pairs/s"}, report.Metric{Name: "commands/pair"}, report.Metric{Name: "redis.calls/pair"},
		report.Metric{Name: "server µs/pair"}, report.Metric{Name: "server CPU µs/pair"}, report.Metric{Name: "client CPU µs/pair"})
	add("uncontended-many", fmt.Sprintf("%d goroutines of one program, each with a key of its own, over one client object: each library as it is fastest.", c.Workers),
		shared, func(l *library) run { return uncontended(l, c.Workers) },
		report.Metric{Name: "pairs/s", Better: report.Higher}, report.Metric{Name: "pair p50", Unit: "µs"},
		report.Metric{Name: "pair p99", Unit: "µs"}, report.Metric{Name: "commands/pair"}, report.Metric{Name: "redis.calls/pair"},
		report.Metric{Name: "server µs/pair"}, report.Metric{Name: "server CPU µs/pair"}, report.Metric{Name: "client CPU µs/pair"})
	fight := []report.Metric{
		{Name: "grants/s", Better: report.Higher},
		{Name: "hand-overs/s", Better: report.Higher},
		{Name: "Jain"},
		{Name: "fewest"},
		{Name: "most"},
		{Name: "wait p50", Unit: "ms"},
		{Name: "wait p99", Unit: "ms"},
		{Name: "longest wait", Unit: "ms", Better: report.Lower},
		{Name: "longest/p50"},
		{Name: "scripts/grant"},
		{Name: "commands/grant"},
		{Name: "redis.calls/grant"},
		{Name: "server µs/grant"},
		{Name: "server CPU µs/grant"},
		{Name: "client CPU µs/grant"},
		{Name: "overlaps"},
	}
	add("contended-hold-0", fmt.Sprintf("%d clients, each with its own connections, want one key; each releases it at once and comes back at once.", c.Workers),
		line, func(l *library) run { return contended(l, 0, 0, 2) }, fight...)
	add("contended-hold-2ms", fmt.Sprintf("The same; each keeps it for %v and comes back after %v.", hold, think),
		line, func(l *library) run { return contended(l, hold, think, long) }, fight...)
	add("hand-over", "Two clients; one holds, one waits. From the call of the holder's release to the other's return from acquire.",
		line, handOver, report.Metric{Name: "p50", Unit: "ms", Better: report.Lower}, report.Metric{Name: "p99", Unit: "ms"},
		report.Metric{Name: "hand-overs"}, report.Metric{Name: "overlaps"})
	add("idle-waiters", fmt.Sprintf("One client holds, %d wait, and nothing happens. Commands include the holder's renewals and pings.", c.Workers-1),
		line, idle, report.Metric{Name: "commands/s per waiter", Better: report.Lower}).rounds = idleRounds
	if c.Libs == nil || c.Libs.MatchString(stileName) {
		all = append(all, scaleContests(c)...)
	}
	return all
}

func uncontended(l *library, workers int) run {
	return func(ctx context.Context, b *bench, key string) (report.Values, error) {
		clients, hangUp, err := b.dial(ctx, l, 1, workers)
		if err != nil {
			return nil, err
		}
		defer hangUp()
		w := &window{server: b.server}
		u, err := work.RunUncontended(ctx, clients[0], key, workers, b.config.Duration, w)
		if err != nil {
			return nil, err
		}
		n, cost := float64(len(u.Pairs)), w.cost(l.plain...)
		return report.Values{
			"pairs/s":  measure.PerUnit(n, u.Took.Seconds()),
			"pair p50": measure.Micros(measure.Percentile(u.Pairs, 50)), "pair p99": measure.Micros(measure.Percentile(u.Pairs, 99)),
			"commands/pair": measure.PerUnit(cost.requests, n), "redis.calls/pair": measure.PerUnit(cost.inner, n),
			"server CPU µs/pair": measure.PerUnit(w.busy, n),
			"server µs/pair":     measure.PerUnit(cost.usec, n), "client CPU µs/pair": measure.PerUnit(measure.Micros(w.used), n),
		}, nil
	}
}

func contended(l *library, hold, think time.Duration, times int) run {
	return func(ctx context.Context, b *bench, key string) (report.Values, error) {
		clients, hangUp, err := b.dial(ctx, l, b.config.Workers, 1)
		if err != nil {
			return nil, err
		}
		defer hangUp()
		w := &window{server: b.server}
		f, err := work.RunContended(ctx, clients, key, hold, think, time.Duration(times)*b.config.Duration, w)
		if err != nil {
			return nil, err
		}
		return fightValues(&f, w.cost(l.plain...), w), b.overlapped(l, f.Overlaps)
	}
}

func fightValues(f *work.Contended, cost cost, w *window) report.Values {
	n := float64(f.Grants())
	fewest, most := 0, 0
	for i, count := range f.Counts {
		if i == 0 || count < fewest {
			fewest = count
		}
		most = max(most, count)
	}
	p50 := measure.Millis(measure.Percentile(f.Waits, 50))
	return report.Values{
		"grants/s": measure.PerUnit(n, f.Took.Seconds()), "Jain": measure.Jain(f.Counts),
		"hand-overs/s": measure.PerUnit(float64(f.Changes), f.Took.Seconds()),
		"fewest":       float64(fewest), "most": float64(most),
		"wait p50": p50, "wait p99": measure.Millis(measure.Percentile(f.Waits, 99)),
		"longest wait": measure.Millis(f.Longest), "longest/p50": measure.PerUnit(measure.Millis(f.Longest), p50),
		"scripts/grant": measure.PerUnit(cost.scripts, n), "commands/grant": measure.PerUnit(cost.requests, n),
		"redis.calls/grant": measure.PerUnit(cost.inner, n), "server µs/grant": measure.PerUnit(cost.usec, n),
		"server CPU µs/grant": measure.PerUnit(w.busy, n),
		"client CPU µs/grant": measure.PerUnit(measure.Micros(w.used), n), "overlaps": float64(f.Overlaps),
	}
}

func handOver(l *library) run {
	return func(ctx context.Context, b *bench, key string) (report.Values, error) {
		clients, hangUp, err := b.dial(ctx, l, 2, 1)
		if err != nil {
			return nil, err
		}
		defer hangUp()
		h, err := work.RunHandOver(ctx, clients[0], clients[1], key, b.config.Duration, &window{server: b.server})
		if err != nil {
			return nil, err
		}
		return report.Values{
			"p50": measure.Millis(measure.Percentile(h.Latencies, 50)), "p99": measure.Millis(measure.Percentile(h.Latencies, 99)),
			"hand-overs": float64(len(h.Latencies)), "overlaps": float64(h.Overlaps),
		}, b.overlapped(l, h.Overlaps)
	}
}

func idle(l *library) run {
	return func(ctx context.Context, b *bench, key string) (report.Values, error) {
		clients, hangUp, err := b.dial(ctx, l, b.config.Workers, 1)
		if err != nil {
			return nil, err
		}
		defer hangUp()
		w := &window{server: b.server}
		d := long * b.config.Duration
		if err := work.RunIdle(ctx, clients[0], clients[1:], key, b.config.Duration, d, w); err != nil {
			return nil, err
		}
		return report.Values{
			"commands/s per waiter": w.cost(l.plain...).requests / d.Seconds() / float64(len(clients)-1),
		}, nil
	}
}
