package redislock_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/chaosproxy"
	"github.com/stilelock/stile/redislock/internal/redistest"
	"github.com/stilelock/stile/redislock/internal/script"
)

const (
	// prefix is that of all locks in tests of faults, which have servers of
	// their own.
	prefix = "lock:"
	// slack bounds what should happen at once. Only a test that fails waits
	// for it.
	slack = 20 * time.Second
	// glance is how long a test looks on to see that nothing happens.
	glance = 200 * time.Millisecond
	// long is a TTL that does not run out within a test.
	long = 10 * time.Minute
)

// openDriver opens a store by its URL. It is closed with the test.
func openDriver(t *testing.T, url string) driver.Driver {
	t.Helper()
	d, err := driver.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// openLocks opens a locker over a store. It is closed with the test.
func openLocks(t *testing.T, url string) *stile.Locker {
	t.Helper()
	return locksOver(t, openDriver(t, url))
}

func locksOver(t *testing.T, d driver.Driver) *stile.Locker {
	t.Helper()
	locks := stile.New(d, &stile.Config{MinTTL: 100 * time.Millisecond})
	t.Cleanup(func() {
		if err := locks.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return locks
}

// breakable opens a driver by URL whose way to the server is a network that
// the test can break.
func breakable(t *testing.T, s *redistest.Server) (driver.Driver, *chaosproxy.Network) {
	t.Helper()
	network := chaosproxy.New(t)
	addr, err := network.Addr(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	d := openDriver(t, strings.Replace(s.URL("prefix="+prefix), s.Addr, addr, 1))
	return d, network
}

func request(key string, ttl time.Duration) driver.Request {
	return driver.Request{
		Key: key, ID: driver.NewLeaseID(), Limit: 1, TTL: ttl, Tokens: 1, Owner: "a test", Now: driver.SystemClock,
	}
}

func holdOf(req driver.Request, grant driver.Grant) driver.Hold {
	return driver.Hold{Key: req.Key, ID: req.ID, Token: grant.Token, TTL: req.TTL}
}

// within returns a context that bounds one step of a test.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// acquire acquires a key that must be granted soon.
func acquire(t *testing.T, locks *stile.Locker, key string, opts *stile.Options) *stile.Lease {
	t.Helper()
	lease, err := locks.Acquire(within(t, slack), key, opts)
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func release(t *testing.T, lease *stile.Lease) {
	t.Helper()
	if err := letGo(t, lease); err != nil {
		t.Fatal(err)
	}
}

// letGo releases a lease, and bears a machine that stands still for longer
// than a Release waits: that goes on in the background, and says so again.
func letGo(t *testing.T, lease *stile.Lease) error {
	t.Helper()
	for deadline := time.Now().Add(slack); ; {
		err := lease.Release(t.Context())
		if !errors.Is(err, stile.ErrUnavailable) || time.Now().After(deadline) {
			return err
		}
		<-time.After(glance)
	}
}

// A waiter is an acquire under way.
type waiter struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it is over
	lease  *stile.Lease
	err    error
	at     time.Time // when it was over
}

// begin starts an acquire.
func begin(t *testing.T, locks *stile.Locker, key string, opts *stile.Options) *waiter {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &waiter{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		w.lease, w.err = locks.Acquire(ctx, key, opts)
		w.at = time.Now()
	}()
	t.Cleanup(func() {
		cancel()
		<-w.done
	})
	return w
}

// stand starts an acquire and returns when it stands in line.
func stand(t *testing.T, locks *stile.Locker, key string, opts *stile.Options) *waiter {
	t.Helper()
	before := len(get(t, locks, key).Waiters)
	w := begin(t, locks, key, opts)
	until(t, "the waiter stands in line", func() bool { return len(get(t, locks, key).Waiters) == before+1 })
	return w
}

// granted waits for the grant.
func (w *waiter) granted(t *testing.T) *stile.Lease {
	t.Helper()
	w.over(t)
	if w.err != nil {
		t.Fatal(w.err)
	}
	return w.lease
}

// over waits for the end of the acquire, whatever it is.
func (w *waiter) over(t *testing.T) {
	t.Helper()
	await(t, "the acquire is over", w.done)
}

// waits checks that the acquire is not over.
func (w *waiter) waits(t *testing.T) {
	t.Helper()
	select {
	case <-w.done:
		t.Fatalf("the acquire is over while the key is held: %v", w.err)
	case <-time.After(glance):
	}
}

func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(slack):
		t.Fatalf("wait until %s: it is not so after %v", what, slack)
	}
}

// until asks until the answer is yes.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	deadline := time.Now().Add(slack)
	for pause := time.Millisecond; !yes(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("wait until %s: it is not so after %v", what, slack)
		}
		<-time.After(pause)
	}
}

func get(t *testing.T, locks *stile.Locker, key string) stile.State {
	t.Helper()
	state, err := locks.Get(within(t, slack), key)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// kept are the keys of a lock that stay for a while when nobody holds it or
// waits for it.
var kept = []int{script.State, script.Gone}

// wantNothing checks that no key of a lock is left but those of bookkeeping.
func wantNothing(t *testing.T, s *redistest.Server, key string) {
	t.Helper()
	names, err := script.KeysFor(prefix, key)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if n := s.Must(t, "EXISTS", name); n != int64(0) && !slices.Contains(kept, i) {
			t.Errorf("the key %s is left behind: %s", name, show(t, s, name))
		}
	}
}

// show describes a key of Redis.
func show(t *testing.T, s *redistest.Server, name string) string {
	t.Helper()
	read := map[string][]string{
		"string": {"GET", name}, "zset": {"ZRANGE", name, "0", "-1", "WITHSCORES"}, "hash": {"HGETALL", name},
	}[fmt.Sprint(s.Must(t, "TYPE", name))]
	if read == nil {
		return "gone by now, or of a foreign type"
	}
	return fmt.Sprint(s.Must(t, read...))
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: got the error %v; want one that matches %q", what, err, want)
	}
}

func check(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
