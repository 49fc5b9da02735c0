package redislock_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// TestRestartWithAOF: with every write on disk, locks and line outlive a crash
// of the server, and tokens rise.
func TestRestartWithAOF(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.AOF())
	locks := openLocks(t, s.URL("prefix="+prefix))
	others := openLocks(t, s.URL("prefix="+prefix))
	first := acquire(t, locks, "k", &stile.Options{TTL: 15 * time.Second})
	line := []*waiter{stand(t, others, "k", nil), stand(t, locks, "k", nil), stand(t, others, "k", nil)}
	reader := acquire(t, locks, "shared", &stile.Options{Shared: true, TTL: 15 * time.Second})
	check(t, "restart the server", s.Restart())
	for _, lease := range []*stile.Lease{first, reader} {
		holds(t, lease)
	}
	release(t, reader)
	last := first.Token()
	release(t, first)
	for i, w := range line {
		lease := w.granted(t)
		if lease.Token() <= last {
			t.Errorf("waiter %d: token %d after token %d", i, lease.Token(), last)
		}
		last = lease.Token()
		for _, later := range line[i+1:] {
			select {
			case <-later.done:
				t.Fatalf("waiter %d holds, and one behind it is over too: %v", i, later.err)
			default:
			}
		}
		release(t, lease)
	}
	wantNothing(t, s, "k")
	wantNothing(t, s, "shared")
}

// holds waits until a lease was renewed once more.
func holds(t *testing.T, lease *stile.Lease) {
	t.Helper()
	before := lease.Deadline()
	until(t, "the lease is renewed", func() bool {
		if err := lease.Err(); err != nil {
			t.Fatalf("the lease is lost: %v", err)
		}
		return lease.Deadline().After(before.Add(10 * time.Millisecond)) // More than rounding.
	})
}

// TestRestartWithoutPersistence: the server has forgotten everything. The
// holder is told by its next renewal, the waiters are served, and tokens rise.
func TestRestartWithoutPersistence(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	forgets(t, s, func() { check(t, "restart the server", s.Restart()) })
}

// forgets checks what follows when a server has forgotten all.
func forgets(t *testing.T, s *redistest.Server, forget func()) {
	t.Helper()
	locks := openLocks(t, s.URL("prefix="+prefix))
	others := openLocks(t, s.URL("prefix="+prefix))
	first := acquire(t, locks, "k", &stile.Options{TTL: slack / 2})
	alone := acquire(t, locks, "alone", &stile.Options{TTL: slack / 2})
	reader := acquire(t, locks, "shared", &stile.Options{TTL: slack / 2, Shared: true})
	line := []*waiter{stand(t, others, "k", nil), stand(t, others, "k", nil)}
	forget()
	for _, lease := range []*stile.Lease{first, alone, reader} {
		await(t, "the holder is told", lease.Done())
		wantErr(t, "the lease of "+lease.Key(), lease.Err(), stile.ErrLost)
	}
	last := first.Token()
	for len(line) > 0 {
		next := firstOver(t, line)
		lease := line[next].granted(t)
		line = slices.Delete(line, next, next+1)
		if lease.Token() <= last {
			t.Errorf("token %d after token %d", lease.Token(), last)
		}
		last = lease.Token()
		release(t, lease)
	}
	for _, old := range []*stile.Lease{alone, reader} {
		again := acquire(t, others, old.Key(), nil)
		if again.Token() <= old.Token() {
			t.Errorf("token %d after token %d", again.Token(), old.Token())
		}
		release(t, again)
	}
	wantNothing(t, s, "k")
}

// TestFlushAll: as a restart that lost all, with every connection in place.
func TestFlushAll(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	forgets(t, s, func() { s.Must(t, "FLUSHALL") })
}

// TestScriptFlush: the server has forgotten the scripts. Nobody notices.
func TestScriptFlush(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	locks := openLocks(t, s.URL("prefix="+prefix))
	lease := acquire(t, locks, "k", &stile.Options{TTL: slack / 2})
	for range 3 {
		next := stand(t, locks, "k", &stile.Options{TTL: slack / 2})
		s.Must(t, "SCRIPT", "FLUSH")
		holds(t, lease)
		s.Must(t, "SCRIPT", "FLUSH")
		release(t, lease)
		lease = next.granted(t)
		s.Must(t, "SCRIPT", "FLUSH")
		get(t, locks, "k")
	}
	s.Must(t, "SCRIPT", "FLUSH")
	check(t, "break", locks.Break(t.Context(), "k", lease.ID(), stile.BreakNow))
	await(t, "the holder is told", lease.Done())
	wantNothing(t, s, "k")
}
