package redislock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

func freeze(t *testing.T, s *redistest.Server) {
	t.Helper()
	check(t, "freeze the server", s.Freeze())
	t.Cleanup(func() { _ = s.Thaw() }) // Those who close their clients want an answer.
}

// TestFrozenServerTellsTheHolder: a server that hangs loses the holder its
// lease, in time; when it runs on, the next in line holds, with a higher token.
func TestFrozenServerTellsTheHolder(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	locks := openLocks(t, s.URL("prefix="+prefix))
	others := openLocks(t, s.URL("prefix="+prefix))
	first := acquire(t, locks, "k", &stile.Options{TTL: 3 * time.Second})
	next := stand(t, others, "k", nil)
	freeze(t, s)
	begin := time.Now()
	await(t, "the holder is told", first.Done())
	if took := time.Since(begin); took > slack/2 {
		t.Errorf("the holder was told after %v", took)
	}
	wantErr(t, "the lease", first.Err(), stile.ErrLost)
	next.waits(t)
	check(t, "thaw the server", s.Thaw())
	lease := next.granted(t)
	if lease.Token() <= first.Token() {
		t.Errorf("token %d after token %d", lease.Token(), first.Token())
	}
	wantErr(t, "release of the lost lease", first.Release(t.Context()), stile.ErrLost)
	if err := lease.Err(); err != nil {
		t.Errorf("the next holder has lost its lease: %v", err)
	}
	release(t, lease)
	wantNothing(t, s, "k")
}

// TestShortFreezeLosesNothing: a lease outlives a server that hangs for less
// than its TTL, and so does the line.
func TestShortFreezeLosesNothing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	locks := openLocks(t, s.URL("prefix="+prefix))
	first := acquire(t, locks, "k", &stile.Options{TTL: 10 * time.Second})
	second := stand(t, locks, "k", nil)
	third := stand(t, locks, "k", nil)
	freeze(t, s)
	<-time.After(4 * time.Second) // Longer than the first try of a renewal, shorter than the TTL.
	check(t, "thaw the server", s.Thaw())
	if err := first.Err(); err != nil {
		t.Fatalf("the lease is lost: %v", err)
	}
	second.waits(t)
	release(t, first)
	release(t, second.granted(t))
	release(t, third.granted(t))
	wantNothing(t, s, "k")
}

// TestAcquireThatThawsAfterItsRelease: acquires that are given up while the
// server hangs leave nothing when it runs on, in whatever order it reads what
// its connections have sent meanwhile.
func TestAcquireThatThawsAfterItsRelease(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	other := openDriver(t, s.URL("prefix="+prefix))
	for range 5 {
		d := openDriver(t, s.URL("prefix="+prefix))
		_, err := d.Acquire(within(t, slack), func() driver.Request { r := request("warm", long); r.NoWait = true; return r }())
		if err != nil && !errors.Is(err, driver.ErrBusy) {
			t.Fatal(err)
		}
		freeze(t, s)
		req := request("k", long)
		ctx, cancel := context.WithTimeout(t.Context(), glance)
		_, err = d.Acquire(ctx, req)
		cancel()
		wantErr(t, "Acquire at a frozen server", err, context.DeadlineExceeded)
		wantErr(t, "Acquire at a frozen server", err, driver.ErrAmbiguous)
		released := make(chan error, 2)
		for _, by := range []driver.Driver{d, other} {
			go func() { released <- by.Release(within(t, slack), holdOf(req, driver.Grant{})) }()
		}
		<-time.After(glance) // The releases are on their way.
		check(t, "thaw the server", s.Thaw())
		for range 2 {
			if err := <-released; err != nil && !errors.Is(err, driver.ErrLost) && !errors.Is(err, driver.ErrUnavailable) {
				t.Errorf("Release: %v", err)
			}
		}
		// Both are told again, as package stile does until it has heard.
		if err := other.Release(within(t, slack), holdOf(req, driver.Grant{})); err != nil && !errors.Is(err, driver.ErrLost) {
			t.Errorf("Release: %v", err)
		}
		s.Must(t, "PING")
		wantNothing(t, s, "k")
		check(t, "close", d.Close())
	}
}
