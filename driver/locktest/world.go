package locktest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

// A world is what one case runs in: a fresh store, the clients that the case
// opens, and the spans of time it works with. Its methods end the case when
// something goes wrong, so they are called from the case's goroutine only.
type world struct {
	testing.TB
	times

	harness *Harness
	store   Store
	caps    driver.Capabilities
	kind    kind
	primed  map[string]*lease // per key: what the kind of key keeps held
	first   driver.Driver
}

func newWorld(t testing.TB, h *Harness, store Store, k kind) *world {
	t.Helper()
	w := &world{TB: t, harness: h, store: store, kind: k, primed: make(map[string]*lease)}
	w.times = newTimes(h, &driver.Capabilities{})
	w.first = w.open()
	w.caps = w.first.Capabilities()
	w.times = newTimes(h, &w.caps)
	return w
}

// open opens a client. It is closed when the case is over, in bounded time.
func (w *world) open() driver.Driver {
	w.Helper()
	ctx, cancel := w.bounded()
	defer cancel()
	d, err := w.store.Open(ctx)
	if err != nil {
		w.Fatalf("open a client: %v", err)
	}
	w.Cleanup(func() { w.closeClient(d) })
	return d
}

// client returns the first client that was opened.
func (w *world) client() driver.Driver { return w.first }

// clients opens n clients.
func (w *world) clients(n int) []driver.Driver {
	w.Helper()
	all := []driver.Driver{w.first}
	for len(all) < n {
		all = append(all, w.open())
	}
	return all
}

// closeClient closes d and fails the case if that takes too long.
func (w *world) closeClient(d driver.Driver) {
	w.Helper()
	closed := make(chan error, 1)
	go func() { closed <- d.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			w.Errorf("Close: %v", err)
		}
	case <-time.After(2 * w.slack):
		w.Errorf("Close has not returned after %v", 2*w.slack)
	}
}

// bounded returns a context for one command. It does not end with the case, so
// that it can be used in a cleanup.
func (w *world) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(w.Context()), 2*w.slack)
}

// request returns a request for key as a mutex with a TTL that does not run
// out.
func (w *world) request(key string) driver.Request {
	w.prime(key)
	return driver.Request{
		Key: key, ID: driver.NewLeaseID(), Limit: w.kind.permits(), TTL: w.long,
		Tokens: 1, Owner: "locktest", Now: driver.SystemClock,
	}
}

// expiring returns a request like request, with a TTL that runs out soon.
func (w *world) expiring(key string) driver.Request {
	req := w.request(key)
	req.TTL = w.short
	return req
}

// shared returns a request for a shared hold.
func (w *world) shared(key string) driver.Request {
	req := w.request(key)
	req.Mode = driver.Shared
	return req
}

// limited returns a request for one of n permits.
func (w *world) limited(key string, n int) driver.Request {
	req := w.request(key)
	req.Limit = n
	return req
}

// ask makes one call of a driver, with a context that is bounded by d. A driver
// that does not come back when the context has ended is an error of its own.
func (w *world) ask(d time.Duration, what string, call func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.Context()), d)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- call(ctx) }()
	select {
	case err := <-answer:
		return err
	case <-time.After(d + w.slack):
		return fmt.Errorf("%s has not returned %v after its context ended", what, w.slack)
	}
}

// renew renews l and returns the reading of the clock before it was sent.
func (w *world) renew(l *lease, ttl time.Duration) (driver.Instant, error) {
	sent := driver.SystemClock()
	return sent, w.renewBy(l.client, l.hold(), ttl)
}

func (w *world) renewBy(d driver.Driver, h driver.Hold, ttl time.Duration) error {
	return w.ask(2*w.slack, "Renew", func(ctx context.Context) error { return d.Renew(ctx, h, ttl) })
}

// mustRenew renews l, or ends the case.
func (w *world) mustRenew(l *lease, ttl time.Duration) driver.Instant {
	w.Helper()
	sent, err := w.renew(l, ttl)
	if err != nil {
		w.Fatalf("Renew of a lease that is held: %v", err)
	}
	return sent
}

// release releases l.
func (w *world) release(l *lease) error {
	return w.releaseBy(l.client, l.hold())
}

func (w *world) releaseBy(d driver.Driver, h driver.Hold) error {
	return w.ask(2*w.slack, "Release", func(ctx context.Context) error { return d.Release(ctx, h) })
}

// mustRelease releases l, or ends the case.
func (w *world) mustRelease(l *lease) {
	w.Helper()
	if err := w.release(l); err != nil {
		w.Fatalf("Release of a lease that is held: %v", err)
	}
}

func (w *world) breakLease(d driver.Driver, l *lease, how driver.BreakHow) error {
	return w.breakBy(d, l.req.Key, l.req.ID, how)
}

func (w *world) breakBy(d driver.Driver, key string, id driver.LeaseID, how driver.BreakHow) error {
	return w.ask(2*w.slack, "Break", func(ctx context.Context) error { return d.Break(ctx, key, id, how) })
}

// wantError ends the case unless err matches target.
func (w *world) wantError(what string, err, target error) {
	w.Helper()
	switch {
	case err == nil:
		w.Fatalf("%s succeeded; want an error that matches %q", what, target)
	case !errors.Is(err, target):
		w.Fatalf("%s: got the error %q; want one that matches %q", what, err, target)
	}
}

// wantLost checks that the lease is lost, as Renew tells.
func (w *world) wantLost(l *lease) {
	w.Helper()
	_, err := w.renew(l, l.ttl())
	w.wantError("Renew of a lost lease", err, driver.ErrLost)
}

// until waits for ready to be true, which something else is about to make
// so. It looks often at first, then less so.
func (w *world) until(what string, ready func() bool) {
	w.Helper()
	deadline := time.Now().Add(2 * w.slack)
	pause := time.Millisecond
	for !ready() {
		if time.Now().After(deadline) {
			w.Fatalf("waited %v in vain: %s", 2*w.slack, what)
		}
		w.wait(pause)
		pause = min(2*pause, 20*time.Millisecond)
	}
}

// wait lets real time pass, because a store's lease has to run out or because
// the case looks on to see that nothing happens.
func (w *world) wait(d time.Duration) {
	w.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.Context().Done():
	}
}

// pass lets time pass until the clock reads at least end.
func (w *world) pass(end driver.Instant) {
	w.Helper()
	for now := driver.SystemClock(); now < end; now = driver.SystemClock() {
		w.wait(end.Sub(now))
	}
}
