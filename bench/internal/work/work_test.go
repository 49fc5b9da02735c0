package work_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/bench/internal/work"
	_ "github.com/stilelock/stile/memlock"
)

// open is a library that keeps nobody out: the checks of this package have to
// find it out.
type open struct{}

func (open) Acquire(context.Context, string) (work.Hold, error) { return open{}, nil }
func (open) Release(context.Context) error                      { return nil }
func (open) Close()                                             {}

// memory is a library that works, without a server.
type memory struct{ locks *stile.Locker }

func (m memory) Acquire(ctx context.Context, key string) (work.Hold, error) {
	return m.locks.Acquire(ctx, key, nil)
}
func (m memory) Close() { _ = m.locks.Close() }

func newMemory(t *testing.T) memory {
	t.Helper()
	locks, err := stile.Open(t.Context(), "mem:"+t.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { locks.Close() })
	return memory{locks}
}

// window counts its calls.
type window struct{ begun, ended int }

func (w *window) Begin(context.Context) error { w.begun++; return nil }
func (w *window) End(context.Context) error   { w.ended++; return nil }

func (w *window) check(t *testing.T) {
	t.Helper()
	if w.begun != 1 || w.ended != 1 {
		t.Errorf("the measured time began %d times and ended %d times, want once each", w.begun, w.ended)
	}
}

func TestContendedFindsTwoHolders(t *testing.T) {
	t.Parallel()
	got, err := work.RunContended(t.Context(), []work.Client{open{}, open{}, open{}}, "k", time.Millisecond, 0, 50*time.Millisecond, &window{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Overlaps == 0 {
		t.Error("three clients that nobody kept apart, and no overlap was seen")
	}
}

func TestContendedCountsGrantsOfEachClient(t *testing.T) {
	t.Parallel()
	m, w := newMemory(t), &window{}
	got, err := work.RunContended(t.Context(), []work.Client{m, m, m, m}, "k", time.Millisecond, time.Millisecond, 100*time.Millisecond, w)
	if err != nil {
		t.Fatal(err)
	}
	w.check(t)
	sum := 0
	for i, n := range got.Counts {
		if n == 0 {
			t.Errorf("client %d was never granted", i)
		}
		sum += n
	}
	if len(got.Counts) != 4 || sum != got.Grants() || got.Overlaps != 0 {
		t.Errorf("counts %v, %d grants, %d overlaps; want 4 clients, their sum, none", got.Counts, got.Grants(), got.Overlaps)
	}
	if got.Changes < 1 || got.Changes >= sum {
		t.Errorf("%d grants of %d went to another client than the one before", got.Changes, sum)
	}
	for _, wait := range got.Waits {
		if wait > got.Longest {
			t.Errorf("a wait of %v, and the longest is %v", wait, got.Longest)
		}
	}
}

func TestContendedByOneClientHandsNothingOver(t *testing.T) {
	t.Parallel()
	got, err := work.RunContended(t.Context(), []work.Client{newMemory(t)}, "k", 0, 0, 10*time.Millisecond, &window{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Grants() == 0 || got.Changes != 0 {
		t.Errorf("%d grants to the only client, %d to another one than before", got.Grants(), got.Changes)
	}
}

func TestContendedCountsAWaitWithoutEnd(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	// Somebody else holds the key for the whole time.
	if _, err := m.Acquire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	const d = 50 * time.Millisecond
	got, err := work.RunContended(t.Context(), []work.Client{m, m}, "k", 0, 0, d, &window{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Grants() != 0 || got.Longest < d/2 || got.Longest > d {
		t.Errorf("%d grants, longest wait %v; want none, and nearly %v", got.Grants(), got.Longest, d)
	}
}

func TestUncontendedUsesAKeyPerWorker(t *testing.T) {
	t.Parallel()
	w := &window{}
	got, err := work.RunUncontended(t.Context(), newMemory(t), "k", 3, 20*time.Millisecond, w)
	if err != nil {
		t.Fatal(err)
	}
	w.check(t)
	if len(got.Pairs) < 3 || got.Took < 20*time.Millisecond {
		t.Errorf("%d pairs in %v", len(got.Pairs), got.Took)
	}
}

func TestHandOverFromClientToClient(t *testing.T) {
	t.Parallel()
	m, w := newMemory(t), &window{}
	got, err := work.RunHandOver(t.Context(), m, m, "k", 100*time.Millisecond, w)
	if err != nil {
		t.Fatal(err)
	}
	w.check(t)
	if len(got.Latencies) == 0 || got.Overlaps != 0 {
		t.Errorf("%d hand-overs, %d overlaps", len(got.Latencies), got.Overlaps)
	}
}

func TestHandOverFindsTwoHolders(t *testing.T) {
	t.Parallel()
	got, err := work.RunHandOver(t.Context(), open{}, open{}, "k", 50*time.Millisecond, &window{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Overlaps == 0 || got.Overlaps != len(got.Latencies) {
		t.Errorf("%d overlaps in %d hand-overs by a library that keeps nobody out", got.Overlaps, len(got.Latencies))
	}
}

func TestIdleFindsAGrantedWaiter(t *testing.T) {
	t.Parallel()
	err := work.RunIdle(t.Context(), open{}, []work.Client{open{}}, "k", 10*time.Millisecond, 10*time.Millisecond, &window{})
	if err == nil || !strings.Contains(err.Error(), "while the key was held") {
		t.Errorf("error %v by a library that keeps nobody out", err)
	}
	m, w := newMemory(t), &window{}
	if err := work.RunIdle(t.Context(), m, []work.Client{m, m}, "k", 10*time.Millisecond, 10*time.Millisecond, w); err != nil {
		t.Error(err)
	}
	w.check(t)
}

// refusing fails at every acquire.
type refusing struct{ open }

var errRefused = errors.New("refused")

func (refusing) Acquire(context.Context, string) (work.Hold, error) { return nil, errRefused }

func TestAFailureEndsTheWork(t *testing.T) {
	t.Parallel()
	ctx, w := t.Context(), &window{}
	_, uncontended := work.RunUncontended(ctx, refusing{}, "k", 2, time.Minute, w)
	_, contended := work.RunContended(ctx, []work.Client{refusing{}}, "k", 0, 0, time.Minute, w)
	_, handOver := work.RunHandOver(ctx, open{}, refusing{}, "k", time.Minute, w)
	_, once := work.RunOnce(ctx, refusing{}, "k", 10, 2)
	for name, err := range map[string]error{"uncontended": uncontended, "contended": contended, "hand-over": handOver, "once": once} {
		if !errors.Is(err, errRefused) {
			t.Errorf("%s: error %v, want the library's own", name, err)
		}
	}
}

func TestOnceUsesEachKeyOnce(t *testing.T) {
	t.Parallel()
	c := &counting{keys: make(chan string, 200)}
	if _, err := work.RunOnce(t.Context(), c, "k", 100, 7); err != nil {
		t.Fatal(err)
	}
	close(c.keys)
	seen := make(map[string]bool)
	for key := range c.keys {
		if seen[key] {
			t.Errorf("key %s was used twice", key)
		}
		seen[key] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d keys were used, want 100", len(seen))
	}
}

type counting struct {
	open
	keys chan string
}

func (c *counting) Acquire(_ context.Context, key string) (work.Hold, error) {
	c.keys <- key
	return open{}, nil
}
