package zkbench

import (
	"context"
	"fmt"

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
	warm   bool // runs uncounted before the first round
	runs   []run
}

const (
	// long is how much longer than others those runs take in which little
	// happens.
	long = 4
	// fewRounds is enough for what hardly differs from round to round.
	fewRounds = 2
)

// contests returns all items for some libraries.
func contests(c Config, libraries []*library) []*contest {
	var all []*contest
	add := func(name, about string, r func(l *library) run, metrics ...report.Metric) *contest {
		contest := &contest{item: &report.Item{Name: name, About: about, Metrics: metrics}}
		for _, l := range libraries {
			contest.runs = append(contest.runs, r(l))
			contest.item.Rows = append(contest.item.Rows, &report.Row{Library: l.name})
		}
		all = append(all, contest)
		return contest
	}
	pair := []report.Metric{
		{Name: "pairs/s", Better: report.Higher},
		{Name: "pair p50", Unit: "µs", Better: report.Lower},
		{Name: "pair p99", Unit: "µs"},
		{Name: "requests/pair"},
		{Name: "server CPU µs/pair"},
		{Name: "client CPU µs/pair"},
	}
	add("uncontended-1", "One worker takes and gives back a key that nobody else wants. A pair is an acquire and its release.",
		func(l *library) run { return uncontended(l, 1, 1) }, pair...).warm = true
	add("uncontended-many", fmt.Sprintf("%d clients, each with its own session and a key of its own.", c.Workers),
		func(l *library) run { return uncontended(l, c.Workers, c.Workers) }, pair...).warm = true
	add("uncontended-shared", fmt.Sprintf("%d goroutines or threads of one program, each with a key of its own, over one session.", c.Workers),
		func(l *library) run { return uncontended(l, 1, c.Workers) }, pair...).warm = true
	add("contended", fmt.Sprintf("%d clients, each with its own session, want one key; each releases it at once and comes back at once.", c.Workers), contended,
		report.Metric{Name: "hand-overs/s", Better: report.Higher}, report.Metric{Name: "grants/s"}, report.Metric{Name: "requests/grant", Better: report.Lower},
		report.Metric{Name: "Jain"}, report.Metric{Name: "fewest"}, report.Metric{Name: "most"},
		report.Metric{Name: "wait p50", Unit: "ms"}, report.Metric{Name: "wait p99", Unit: "ms"}, report.Metric{Name: "longest wait", Unit: "ms"},
		report.Metric{Name: "server CPU µs/grant"}, report.Metric{Name: "client CPU µs/grant"}, report.Metric{Name: "overlaps"}).warm = true
	add("hand-over", "Two clients; one holds, one waits. From the call of the holder's release to the other's return from acquire.", handOver,
		report.Metric{Name: "p50", Unit: "ms", Better: report.Lower}, report.Metric{Name: "p99", Unit: "ms"},
		report.Metric{Name: "hand-overs"}, report.Metric{Name: "overlaps"}).warm = true
	quiet := []report.Metric{
		{Name: "requests/s"}, {Name: "watches fired"}, {Name: "pings/s"}, {Name: "sessions"},
	}
	add("idle-waiters", fmt.Sprintf("One client holds, %d wait, each with its own session, and nothing happens. Of all together; requests are all but pings.", c.Workers-1),
		func(l *library) run { return idle(l, false) }, quiet...).rounds = fewRounds
	add("idle-waiters-shared", "The same, all of one program, over one session.",
		func(l *library) run { return idle(l, true) }, quiet...).rounds = fewRounds
	for _, n := range c.Waiters {
		add(fmt.Sprintf("line-%d", n), fmt.Sprintf("%d waiters of %d clients for one key, then all are served. Bytes are of requests, replies and events; hand-overs are the first %d.",
			n, lineClients, min(n, fullLine)),
			func(l *library) run { return longLine(l, n) },
			report.Metric{Name: "requests/hand-over", Better: report.Lower}, report.Metric{Name: "watches fired/hand-over"},
			report.Metric{Name: "bytes/hand-over", Better: report.Lower}, report.Metric{Name: "requests/join", Better: report.Lower},
			report.Metric{Name: "bytes/join", Better: report.Lower}, report.Metric{Name: "joins/s", Better: report.Higher},
			report.Metric{Name: "hand-overs/s", Better: report.Higher}, report.Metric{Name: "out of order"}, report.Metric{Name: "overlaps"}).rounds = fewRounds
	}
	return all
}

func uncontended(l *library, clients, workers int) run {
	return func(ctx context.Context, b *bench, key string) (report.Values, error) {
		w := &window{server: b.server}
		u, err := b.uncontended(ctx, l, key, clients, workers, b.duration, w)
		if err != nil {
			return nil, err
		}
		n := float64(len(u.Pairs))
		return report.Values{
			"pairs/s":  measure.PerUnit(n, u.Took.Seconds()),
			"pair p50": measure.Micros(measure.Percentile(u.Pairs, 50)), "pair p99": measure.Micros(measure.Percentile(u.Pairs, 99)),
			"requests/pair": measure.PerUnit(w.requests, n), "server CPU µs/pair": measure.PerUnit(measure.Micros(w.busy), n),
			"client CPU µs/pair": measure.PerUnit(measure.Micros(w.used), n),
		}, nil
	}
}

func contended(l *library) run {
	return func(ctx context.Context, b *bench, key string) (report.Values, error) {
		w := &window{server: b.server}
		f, err := b.contended(ctx, l, key, b.config.Workers, 2*b.duration, w)
		if err != nil {
			return nil, err
		}
		return fightValues(&f, w), overlapped(l, f.Overlaps)
	}
}

func fightValues(f *work.Contended, w *window) report.Values {
	n := float64(f.Grants())
	fewest, most := 0, 0
	for i, count := range f.Counts {
		if i == 0 || count < fewest {
			fewest = count
		}
		most = max(most, count)
	}
	return report.Values{
		"hand-overs/s": measure.PerUnit(float64(f.Changes), f.Took.Seconds()), "grants/s": measure.PerUnit(n, f.Took.Seconds()),
		"requests/grant": measure.PerUnit(w.requests, n), "Jain": measure.Jain(f.Counts),
		"fewest": float64(fewest), "most": float64(most),
		"wait p50": measure.Millis(measure.Percentile(f.Waits, 50)), "wait p99": measure.Millis(measure.Percentile(f.Waits, 99)),
		"longest wait":        measure.Millis(f.Longest),
		"server CPU µs/grant": measure.PerUnit(measure.Micros(w.busy), n), "client CPU µs/grant": measure.PerUnit(measure.Micros(w.used), n),
		"overlaps": float64(f.Overlaps),
	}
}

func handOver(l *library) run {
	return func(ctx context.Context, b *bench, key string) (report.Values, error) {
		h, err := b.handOver(ctx, l, key, b.duration, &window{server: b.server})
		if err != nil {
			return nil, err
		}
		return report.Values{
			"p50": measure.Millis(measure.Percentile(h.Latencies, 50)), "p99": measure.Millis(measure.Percentile(h.Latencies, 99)),
			"hand-overs": float64(len(h.Latencies)), "overlaps": float64(h.Overlaps),
		}, overlapped(l, h.Overlaps)
	}
}

func idle(l *library, shared bool) run {
	return func(ctx context.Context, b *bench, key string) (report.Values, error) {
		d := long * b.duration
		sessions, t, err := b.idle(ctx, l, key, b.config.Workers-1, shared, b.duration, d)
		if err != nil {
			return nil, err
		}
		return report.Values{
			"requests/s": float64(t.requests) / d.Seconds(), "watches fired": float64(t.events),
			"pings/s": float64(t.pings) / d.Seconds(), "sessions": float64(sessions),
		}, nil
	}
}

func longLine(l *library, n int) run {
	return func(ctx context.Context, b *bench, key string) (report.Values, error) {
		r, err := b.longLine(ctx, l, key, n)
		if err != nil {
			return nil, err
		}
		if err := overlapped(l, r.overlaps); err != nil {
			return r.values(n, min(n, fullLine)), err
		}
		return r.values(n, min(n, fullLine)), r.failed
	}
}

// overlapped makes an error of overlaps.
func overlapped(l *library, n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w, %d times", l.name, ErrOverlap, n)
}
