package stile_test

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/memlock"
)

const ttl = 10 * time.Second

// deadlineOf is the promise: the time before the send + TTL − 1 % − 2 ms.
const deadlineOf = ttl - ttl/100 - 2*time.Millisecond

func TestLeaseIsKeptFarBeyondItsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
		<-time.After(100 * ttl)
		if err := lease.Err(); err != nil {
			t.Fatalf("lease after 100 TTLs: %v", err)
		}
		if n := w.events.count(stile.EventRenewed); n < 290 || n > 310 {
			t.Errorf("renewed %d times in 100 TTLs, want about 300", n)
		}
		if _, err := w.others.TryAcquire(t.Context(), "k", nil); !errors.Is(err, stile.ErrBusy) {
			t.Errorf("another's try: %v, want busy", err)
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Black-holed, the holder is told before the store grants the next.
func TestHolderIsToldBeforeTheNextIsGranted(t *testing.T) {
	for name, fault := range map[string]func(context.Context, string) error{"black hole": gone, "refused": refused} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
				<-time.After(ttl) // Some renewals go through.
				renewed, _ := w.events.last(stile.EventRenewed)
				start := time.Now()
				w.net.set(fault, nil)
				var told, granted time.Time
				context.AfterFunc(lease.Context(), func() { told = time.Now() })
				next, err := w.others.Acquire(t.Context(), "k", nil)
				if err != nil {
					t.Fatal(err)
				}
				granted = time.Now()
				synctest.Wait()
				if told.IsZero() || !told.Before(granted) {
					t.Fatalf("told %v and granted %v after the cut", told.Sub(start), granted.Sub(start))
				}
				if !errors.Is(lease.Err(), stile.ErrLost) || !errors.Is(context.Cause(lease.Context()), stile.ErrLost) {
					t.Errorf("lease ends with %v, cause %v", lease.Err(), context.Cause(lease.Context()))
				}
				if next.Token() <= lease.Token() {
					t.Errorf("token %d after %d", next.Token(), lease.Token())
				}
				if renewed.Remaining != deadlineOf {
					t.Errorf("a renewal moved the deadline to %v from now, want %v", renewed.Remaining, deadlineOf)
				}
				if err := next.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestDeadlineCountsFromTheSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const slow = 3 * time.Second
		w.net.set(nil, func(context.Context, string) error {
			<-time.After(slow) // The store has granted; its answer travels.
			return nil
		})
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
		if got, want := lease.Remaining(), deadlineOf-slow; got != want {
			t.Errorf("remaining %v, want %v", got, want)
		}
		if got := lease.Waited(); got != slow {
			t.Errorf("waited %v, want %v", got, slow)
		}
		w.net.set(nil, nil)
		_ = lease.Release(t.Context())
	})
}

func TestLeaseGrantedAfterAWaitCountsFromItsGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first, err := w.others.Acquire(t.Context(), "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Hour, func() { _ = first.Release(context.Background()) })
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
		if got := lease.Remaining(); got != deadlineOf {
			t.Errorf("remaining %v after an hour in line, want %v", got, deadlineOf)
		}
		if got := lease.Waited(); got != time.Hour {
			t.Errorf("waited %v, want 1h", got)
		}
		_ = lease.Release(t.Context())
	})
}

func TestGrantThatArrivesAfterItsTTLIsProvedOrGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.net.set(nil, only("acquire", 1, func(context.Context, string) error {
			<-time.After(2 * ttl)
			return nil
		}))
		lease, err := w.mine.Acquire(t.Context(), "k", &stile.Options{TTL: ttl})
		if !errors.Is(err, stile.ErrUnavailable) || lease != nil {
			t.Fatalf("got lease %v, error %v; want unavailable", lease, err)
		}
		if state := w.state(t, "k"); len(state.Holders) != 0 {
			t.Errorf("left behind: %+v", state)
		}
	})
}

func TestOneFailedRenewalIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
		w.net.set(only("renew", 2, gone), nil)
		<-time.After(5 * ttl)
		if err := lease.Err(); err != nil {
			t.Fatalf("lease: %v", err)
		}
		if n := w.events.count(stile.EventRenewFailed); n != 2 {
			t.Errorf("%d failed renewals were told, want 2", n)
		}
		_ = lease.Release(t.Context())
	})
}

// A renewal that hangs and does not heed its context holds up neither the
// deadline nor the release.
func TestLossWithARenewalThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		hang := make(chan struct{})
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
		w.net.set(only("renew", 1, func(context.Context, string) error {
			<-hang
			return driver.ErrUnavailable
		}), nil)
		start := time.Now()
		<-lease.Done()
		if got := time.Since(start); got != deadlineOf {
			t.Errorf("told after %v, want %v", got, deadlineOf)
		}
		start = time.Now()
		if err := lease.Release(t.Context()); !errors.Is(err, stile.ErrLost) {
			t.Errorf("release: %v, want lost", err)
		}
		if got := time.Since(start); got != 0 {
			t.Errorf("release of a lost lease took %v", got)
		}
		close(hang)
	})
}

func TestBrokenLeaseIsToldAtOnce(t *testing.T) {
	for name, how := range map[string]stile.BreakHow{"gently": stile.BreakGently, "now": stile.BreakNow} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
				if err := w.others.Break(t.Context(), "k", lease.ID(), how); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // No time passes: the nudge does it.
				if err := lease.Err(); !errors.Is(err, stile.ErrLost) {
					t.Fatalf("lease after the break: %v", err)
				}
				_, err := w.others.TryAcquire(t.Context(), "k", nil)
				if busy := errors.Is(err, stile.ErrBusy); busy != (how == stile.BreakGently) {
					t.Errorf("try while the holder has not stopped: %v", err)
				}
				_ = lease.Release(t.Context())
				synctest.Wait()
				if how == stile.BreakGently {
					if _, err := w.others.TryAcquire(t.Context(), "k", nil); err != nil {
						t.Errorf("try after the holder has stopped: %v", err)
					}
				}
			})
		})
	}
}

func TestMaxHoldEndsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const most = 25 * time.Second
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl, MaxHold: most})
		start := time.Now()
		next := make(chan time.Duration)
		go func() {
			_, _ = w.others.Acquire(context.Background(), "k", nil)
			next <- time.Since(start)
		}()
		<-lease.Done()
		told := time.Since(start)
		granted := <-next
		if told > most || told < most-time.Second {
			t.Errorf("told after %v, want at the latest and about %v", told, most)
		}
		if granted < told || granted > most+time.Second {
			t.Errorf("the next was granted after %v; the holder was told after %v", granted, told)
		}
		if err := lease.Err(); !errors.Is(err, stile.ErrLost) {
			t.Errorf("lease: %v", err)
		}
	})
}

// suspended acquires a lease, then suspends the machine for an hour: timers
// stood still, the clock did not.
func suspended(t *testing.T) *stile.Lease {
	t.Helper()
	steady := bubbleClock()
	var jump atomic.Int64
	clock := func() driver.Instant { return steady().Add(time.Duration(jump.Load())) }
	locks := stile.New(memlock.New(&memlock.Options{Clock: clock}), &stile.Config{Clock: clock})
	t.Cleanup(func() { _ = locks.Close() })
	lease, err := locks.Acquire(t.Context(), "k", &stile.Options{TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	jump.Store(int64(time.Hour))
	return lease
}

func TestLossDuringASuspendIsSeenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lease := suspended(t)
		start := time.Now()
		<-lease.Done()
		if got := time.Since(start); got > time.Second {
			t.Errorf("done after %v, want at most 1s", got)
		}
		if err := lease.Err(); !errors.Is(err, stile.ErrLost) {
			t.Errorf("lease after a suspend: %v", err)
		}
	})
}

// The same, seen by a caller who looks before any timer has fired.
func TestErrLooksAtTheClockItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := suspended(t).Err(); !errors.Is(err, stile.ErrLost) {
			t.Errorf("lease after a suspend: %v", err)
		}
	})
}

func TestEndlessMaxHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl, MaxHold: math.MaxInt64})
		<-time.After(10 * ttl)
		if err := lease.Err(); err != nil {
			t.Errorf("lease: %v", err)
		}
		taken, err := w.others.Attach(t.Context(), lease.Handle())
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * ttl)
		if err := taken.Err(); err != nil {
			t.Errorf("the lease that was taken over: %v", err)
		}
		_ = lease.Release(t.Context())
	})
}

func TestGrantAfterTheMaximumHoldIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.net.set(nil, only("acquire", 1, func(context.Context, string) error {
			<-time.After(2 * ttl)
			return nil
		}))
		_, err := w.mine.Acquire(t.Context(), "k", &stile.Options{TTL: ttl, MaxHold: ttl})
		if !errors.Is(err, stile.ErrUnavailable) {
			t.Errorf("acquire: %v, want unavailable", err)
		}
		if n := w.net.count("renew"); n != 0 {
			t.Errorf("renewed %d times for less than no time", n)
		}
	})
}
