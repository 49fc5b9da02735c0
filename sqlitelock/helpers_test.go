package sqlitelock

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// patience bounds what should happen at once. Only a test that fails waits
// for it.
const patience = 10 * time.Second

// openAt opens the store in the file at path, and closes it when the test is
// over.
func openAt(t testing.TB, path string, opts *Options) *Driver {
	t.Helper()
	d, err := Open(context.Background(), path, opts)
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

// newStore opens a fresh store.
func newStore(t testing.TB, opts *Options) *Driver {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "locks.db"), opts)
}

// request asks for an exclusive hold of key for a minute.
func request(key string) driver.Request {
	return driver.Request{
		Key: key, ID: driver.NewLeaseID(), Limit: 1, TTL: time.Minute, Tokens: 1,
		Owner: "test", Now: driver.SystemClock,
	}
}

func holdOf(req *driver.Request, grant driver.Grant) driver.Hold {
	return driver.Hold{Key: req.Key, ID: req.ID, Token: grant.Token, TTL: req.TTL}
}

// mustAcquire acquires key at once.
func mustAcquire(t testing.TB, d *Driver, key string) driver.Hold {
	t.Helper()
	req := request(key)
	req.NoWait = true
	grant, err := d.Acquire(context.Background(), req)
	if err != nil {
		t.Fatalf("acquire %q: %v", key, err)
	}
	return holdOf(&req, grant)
}

func mustRelease(t testing.TB, d *Driver, h driver.Hold) {
	t.Helper()
	if err := d.Release(context.Background(), h); err != nil {
		t.Fatalf("release %q: %v", h.Key, err)
	}
}

// A call is an Acquire that is under way.
type call struct {
	req    driver.Request
	cancel context.CancelFunc
	done   chan struct{}
	grant  driver.Grant
	err    error
	at     time.Time // of the return
}

func startAcquire(t testing.TB, d *Driver, req driver.Request) *call {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &call{req: req, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.grant, c.err = d.Acquire(ctx, req)
		c.at = time.Now()
	}()
	t.Cleanup(cancel)
	return c
}

// result waits for the call to return.
func (c *call) result(t testing.TB) (driver.Grant, error) {
	t.Helper()
	select {
	case <-c.done:
		return c.grant, c.err
	case <-time.After(patience):
		t.Fatalf("Acquire of %q has not returned", c.req.Key)
		return driver.Grant{}, nil
	}
}

func (c *call) granted(t testing.TB) driver.Hold {
	t.Helper()
	grant, err := c.result(t)
	if err != nil {
		t.Fatalf("Acquire of %q: %v", c.req.Key, err)
	}
	return holdOf(&c.req, grant)
}

// until waits for something that another goroutine or process brings about.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; !holds(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-time.After(pause)
	}
}

// state lists one key.
func state(t testing.TB, d *Driver, key string) driver.State {
	t.Helper()
	for s, err := range d.List(context.Background(), key) {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		if s.Key == key {
			return s
		}
	}
	return driver.State{Key: key}
}

func untilWaiting(t testing.TB, d *Driver, key string, n int) {
	t.Helper()
	until(t, "somebody stands in line", func() bool { return len(state(t, d, key).Waiters) == n })
}

// standInLine puts n attempts in line that nobody waits for.
func standInLine(t testing.TB, d *Driver, key string, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for range min(n, 100) {
		wg.Go(func() {
			for range max(n/100, 1) {
				req := request(key)
				attempt := lockqueue.NewAttempt(&req)
				attempt.WaiterTTL = lockqueue.FromDuration(time.Hour)
				_, err := d.do(context.Background(), &command{
					key: key, asked: req.ID, permits: 1,
					step: func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
						return lockqueue.Acquire(v, now, &attempt)
					},
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// rawOpen opens the file as another program would.
func rawOpen(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", dataSource(path, false)+"&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// handClock is a clock that a test moves.
type handClock struct {
	mu sync.Mutex
	at lockqueue.Now
	id string
}

func newHandClock(id string) *handClock {
	return &handClock{id: id, at: lockqueue.Now{Lease: 1_000_000, Wall: wallNow()}}
}

func (c *handClock) now() lockqueue.Now {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *handClock) boot() string { return c.id }

func (c *handClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at.Lease += lockqueue.FromDuration(d)
	c.at.Wall += lockqueue.FromDuration(d)
}
