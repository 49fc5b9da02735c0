package stile_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/memlock"
)

func TestReleaseTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", nil)
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				if err := lease.Release(t.Context()); err != nil {
					t.Errorf("release: %v", err)
				}
			})
		}
		calls.Wait()
		if n := w.net.count("release"); n != 1 {
			t.Errorf("the store was told %d times", n)
		}
		if n := w.events.count(stile.EventReleased); n != 1 {
			t.Errorf("%d release events", n)
		}
		if err := lease.Err(); !errors.Is(err, stile.ErrReleased) || errors.Is(err, stile.ErrLost) {
			t.Errorf("lease after release: %v", err)
		}
		if cause := context.Cause(lease.Context()); !errors.Is(cause, stile.ErrReleased) {
			t.Errorf("context after release: %v", cause)
		}
		if lease.Remaining() != 0 {
			t.Errorf("remaining %v after release", lease.Remaining())
		}
	})
}

func TestLostReplyToReleaseIsARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", nil)
		w.net.set(nil, only("release", 1, func(context.Context, string) error { return driver.ErrAmbiguous }))
		if err := lease.Release(t.Context()); err != nil {
			t.Errorf("release: %v", err)
		}
		if n := w.net.count("release"); n != 2 {
			t.Errorf("told %d times, want 2", n)
		}
	})
}

// A store that says "no such lease" after a try that it certainly never saw:
// the lease was lost.
func TestReleaseAfterARefusedTryTellsOfTheLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", &stile.Options{TTL: time.Hour})
		w.net.set(only("release", 1, func(ctx context.Context, _ string) error {
			_ = w.net.Driver.Break(ctx, "k", lease.ID(), driver.BreakNow)
			return driver.ErrUnavailable
		}), nil)
		if err := lease.Release(t.Context()); !errors.Is(err, stile.ErrLost) {
			t.Errorf("release: %v, want lost", err)
		}
	})
}

func TestReleaseAfterLossTouchesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
		w.net.set(refused, nil)
		next, err := w.others.Acquire(t.Context(), "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		w.net.set(nil, nil)
		if err := lease.Release(t.Context()); !errors.Is(err, stile.ErrLost) {
			t.Errorf("release: %v, want lost", err)
		}
		<-time.After(time.Minute)
		if err := next.Err(); err != nil {
			t.Errorf("the next one's lease: %v", err)
		}
		if n := w.events.count(stile.EventReleased); n != 0 {
			t.Errorf("%d release events for a lost lease", n)
		}
		_ = next.Release(t.Context())
	})
}

func TestMinHoldKeepsTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		start := time.Now()
		lease := w.acquire(t, "k", &stile.Options{MinHold: time.Minute})
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.others.TryAcquire(t.Context(), "k", nil); !errors.Is(err, stile.ErrBusy) {
			t.Errorf("try within the minimum hold: %v", err)
		}
		next, err := w.others.Acquire(t.Context(), "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got != time.Minute {
			t.Errorf("granted after %v, want 1m", got)
		}
		_ = next.Release(t.Context())
	})
}

func TestCloseEndsWhatIsHeldAndWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
		waiting := make(chan error)
		go func() {
			_, err := w.mine.Acquire(context.Background(), "k", nil)
			waiting <- err
		}()
		synctest.Wait()
		if err := w.mine.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-waiting; !errors.Is(err, stile.ErrClosed) {
			t.Errorf("the waiting call: %v", err)
		}
		if err := lease.Err(); !errors.Is(err, stile.ErrClosed) || errors.Is(err, stile.ErrLost) {
			t.Errorf("lease: %v, want closed", err)
		}
		if err := lease.Release(t.Context()); !errors.Is(err, stile.ErrClosed) {
			t.Errorf("release after close: %v", err)
		}
		state := w.state(t, "k")
		if len(state.Holders) != 1 || len(state.Waiters) != 0 {
			t.Errorf("after close the store has %+v", state)
		}
		if _, err := w.mine.Acquire(t.Context(), "other", nil); !errors.Is(err, stile.ErrClosed) {
			t.Errorf("acquire after close: %v", err)
		}
	})
}

// Close right after a release that could not be told yet waits for it.
func TestCloseWaitsForAReleaseUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
		if err := w.others.Break(t.Context(), "k", lease.ID(), stile.BreakGently); err != nil {
			t.Fatal(err)
		}
		<-lease.Done()
		w.net.set(only("release", 5, refused), nil)
		_ = lease.Release(t.Context()) // Returns at once: the lease is lost.
		if err := w.mine.Close(); err != nil {
			t.Fatal(err)
		}
		if state := w.state(t, "k"); len(state.Holders) != 0 {
			t.Errorf("left behind: %+v", state.Holders)
		}
	})
}

// A release that runs while the deadline passes.
func TestReleaseRacingALossTellsOneStory(t *testing.T) {
	for range 1000 {
		synctest.Test(t, func(t *testing.T) {
			steady := bubbleClock()
			var jump atomic.Int64
			clock := func() driver.Instant { return steady().Add(time.Duration(jump.Load())) }
			locks := stile.New(memlock.New(&memlock.Options{Clock: steady}), &stile.Config{Clock: clock})
			lease, err := locks.Acquire(t.Context(), "k", &stile.Options{TTL: ttl})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			var both sync.WaitGroup
			both.Go(func() { jump.Store(int64(ttl)); _ = lease.Err() })
			both.Go(func() { err = lease.Release(t.Context()) })
			both.Wait()
			if cause := context.Cause(lease.Context()); !errors.Is(lease.Err(), cause) {
				t.Fatalf("the lease ended with %q, its context with %q", lease.Err(), cause)
			}
			if errors.Is(lease.Err(), stile.ErrLost) && !errors.Is(err, stile.ErrLost) {
				t.Fatalf("the lease ended with %q, its release with %v", lease.Err(), err)
			}
			_ = locks.Close()
		})
	}
}

func TestEveryCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", nil)
		w.net.set(gone, nil)
		go func() { _ = lease.Release(context.Background()) }()
		synctest.Wait()
		first := make(chan struct{})
		go func() {
			_ = w.mine.Close()
			close(first)
		}()
		<-time.After(time.Second)
		if err := w.mine.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		select {
		case <-first:
		default:
			t.Error("the second close returned before the first was done")
		}
	})
}
