package coexist

import (
	"errors"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// soon bounds how long a waiter may take to see that a foreign key is gone: it
// looks ten times a second, and this machine may be busy.
const soon = time.Second

// waitFor has somebody wait in line for the key, and returns a check that it is
// granted within a time.
func waitFor(t *testing.T, locks *stile.Locker) (granted func(*testing.T, time.Duration) *stile.Lease) {
	t.Helper()
	type result struct {
		lease *stile.Lease
		err   error
	}
	done := make(chan result, 1)
	before, err := locks.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		lease, err := locks.Acquire(t.Context(), name, &stile.Options{Wait: time.Minute})
		done <- result{lease, err}
	}()
	deadline := time.After(20 * time.Second)
	for {
		state, err := locks.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if len(state.Waiters) > len(before.Waiters) {
			break
		}
		select {
		case r := <-done:
			t.Fatalf("did not wait: %v", r.err)
		case <-deadline:
			t.Fatal("does not stand in line")
		case <-time.After(time.Millisecond):
		}
	}
	return func(t *testing.T, within time.Duration) *stile.Lease {
		t.Helper()
		start := time.Now()
		r := <-done
		if r.err != nil {
			t.Fatalf("acquire: %v", r.err)
		}
		if took := time.Since(start); took > within {
			t.Errorf("granted after %v, want at most %v", took, within)
		} else {
			t.Logf("granted after %v", took)
		}
		return r.lease
	}
}

// Those who wait for a foreign holder are served soon after its release, its
// expiry or its deletion, in the order of their line.
func TestForeignHolderGoes(t *testing.T) {
	for how, free := range map[string]func(t *testing.T, server *redistest.Server, unlock func() error){
		"release": func(t *testing.T, _ *redistest.Server, unlock func() error) {
			if err := unlock(); err != nil {
				t.Error(err)
			}
		},
		"deletion": func(t *testing.T, server *redistest.Server, _ func() error) { server.Must(t, "DEL", key) },
		"expiry":   func(t *testing.T, server *redistest.Server, _ func() error) { server.Must(t, "PEXPIRE", key, "1") },
	} {
		t.Run(how, func(t *testing.T) {
			server := redistest.Start(t)
			locks := open(t, server, prefix)
			unlock, err := handwrittenUser(connect(t, server), time.Millisecond).try(t.Context(), key, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			first := waitFor(t, locks)
			second := waitFor(t, locks)
			free(t, server, func() error { return unlock(t.Context()) })
			lease := first(t, soon)
			if err := lease.Release(t.Context()); err != nil {
				t.Error(err)
			}
			next := second(t, soon)
			if next.Token() <= lease.Token() {
				t.Errorf("token %d after %d", next.Token(), lease.Token())
			}
			if err := next.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// settle lets the locker's first contact with the server pass, after which a
// lease is renewed at a third of its TTL and not before.
func settle(t *testing.T, locks *stile.Locker) {
	t.Helper()
	lease, err := locks.TryAcquire(t.Context(), "another", nil)
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(200 * time.Millisecond)
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// An operator may delete the key of a lock in Redis: it is free at once, and
// its holder is told before it would have expired.
func TestOperatorDeletesTheKey(t *testing.T) {
	for how, opts := range map[string]*stile.Options{
		"exclusive": {TTL: 3 * time.Second}, "shared": {TTL: 3 * time.Second, Shared: true}, "semaphore": {TTL: 3 * time.Second, Limit: 2},
	} {
		t.Run(how, func(t *testing.T) {
			server := redistest.Start(t)
			locks, others := open(t, server, prefix), open(t, server, prefix)
			settle(t, locks)
			lease, err := locks.TryAcquire(t.Context(), name, opts)
			if err != nil {
				t.Fatal(err)
			}
			server.Must(t, "DEL", key)
			next, err := others.TryAcquire(t.Context(), name, nil)
			if err != nil {
				t.Fatalf("the key was deleted, but: %v", err)
			}
			if next.Token() <= lease.Token() {
				t.Errorf("token %d after %d", next.Token(), lease.Token())
			}
			select {
			case <-lease.Done():
			case <-time.After(opts.TTL):
				t.Error("its holder is not told in time")
			}
			if !errors.Is(lease.Err(), stile.ErrLost) {
				t.Errorf("the lease ended with %v, want that it is lost", lease.Err())
			}
			if err := lease.Release(t.Context()); !errors.Is(err, stile.ErrLost) {
				t.Errorf("release: %v, want that it was lost", err)
			}
			if next.Err() != nil {
				t.Errorf("the next one's lease: %v", next.Err())
			}
			if err := next.Release(t.Context()); err != nil {
				t.Errorf("release of the next: %v", err)
			}
		})
	}
}

// A waiter learns of a deleted key without anybody's release: it asks again
// from time to time.
func TestOperatorDeletesTheKeyOfAWaiter(t *testing.T) {
	server := redistest.Start(t)
	locks := open(t, server, prefix)
	held, err := locks.TryAcquire(t.Context(), name, &stile.Options{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	granted := waitFor(t, locks)
	server.Must(t, "DEL", key)
	const refresh = 5 * time.Second
	next := granted(t, refresh+soon)
	if next.Token() <= held.Token() {
		t.Errorf("token %d after %d", next.Token(), held.Token())
	}
	if err := next.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if err := held.Release(t.Context()); !errors.Is(err, stile.ErrLost) {
		t.Errorf("release of the deleted: %v", err)
	}
}

// A program that overwrites the key, without NX, takes it; the holder is told,
// and neither its renewals nor its release touch what is not its own.
func TestForeignProgramOverwritesTheKey(t *testing.T) {
	server := redistest.Start(t)
	locks := open(t, server, prefix)
	settle(t, locks)
	lease, err := locks.TryAcquire(t.Context(), name, &stile.Options{TTL: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	server.Must(t, "SET", key, "mine now", "PX", "60000")
	select {
	case <-lease.Done():
	case <-time.After(3 * time.Second):
		t.Error("its holder is not told in time")
	}
	if err := lease.Release(t.Context()); !errors.Is(err, stile.ErrLost) {
		t.Errorf("release: %v, want that it was lost", err)
	}
	if got := server.Must(t, "GET", key); got != "mine now" {
		t.Errorf("the key holds %v", got)
	}
	if pttl, _ := server.Must(t, "PTTL", key).(int64); pttl < 50_000 {
		t.Errorf("the key lives %d ms, want the 60 s that it was given", pttl)
	}
	if _, err := locks.TryAcquire(t.Context(), name, nil); !errors.Is(err, stile.ErrBusy) {
		t.Errorf("got %v, want busy", err)
	}
}
