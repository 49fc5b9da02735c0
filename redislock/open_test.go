package redislock

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/locktest"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// openTest opens a store and closes it with the test.
func openTest(t *testing.T, text string) *Driver {
	t.Helper()
	d, err := driver.Open(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d.(*Driver)
}

// refused opens a store that must not open, and returns the error.
func refused(ctx context.Context, t *testing.T, text string, want error, says string) {
	t.Helper()
	d, err := driver.Open(ctx, text)
	if err == nil {
		_ = d.Close()
	}
	if !errors.Is(err, want) || errors.Is(err, driver.ErrAmbiguous) || !strings.Contains(err.Error(), says) {
		t.Errorf("the error is %v; want %v, with %q in it", err, want, says)
	}
	if err != nil && strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("the error tells the password: %v", err)
	}
}

func with(user *url.Userinfo, text string) string {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	u.User = user
	return u.String()
}

func TestOpenRefused(t *testing.T) {
	t.Parallel()
	guarded := redistest.Start(t, redistest.Password("s3cr3t"), redistest.User("app on >s3cr3t2 ~* +evalsha"))
	guardedURL := guarded.URL()
	plain := redistest.Start(t)
	refused(t.Context(), t, with(nil, guardedURL), driver.ErrUnavailable, "wants a password")
	refused(t.Context(), t, with(url.UserPassword("", "s3cr3tx"), guardedURL), driver.ErrUnavailable, "password is wrong")
	refused(t.Context(), t, with(url.UserPassword("app", "s3cr3t"), guardedURL), driver.ErrUnavailable, "password is wrong")
	refused(t.Context(), t, with(url.UserPassword("app", "s3cr3t2"), guardedURL+"/1"), driver.ErrUnavailable, "rights")
	refused(t.Context(), t, plain.URL()+"/99", driver.ErrUnavailable, "no database of that number")
	refused(t.Context(), t, strings.Replace(plain.URL(), "redis:", "redis+cluster:", 1), driver.ErrInvalid, "use redis://")
	refused(t.Context(), t, strings.Replace(plain.URL(), "redis:", "rediss:", 1), driver.ErrUnavailable, "TLS")
	refused(t.Context(), t, strings.Replace(plain.URL(), "redis:", "redis+sentinel:", 1)+"/main", driver.ErrUnavailable, "")
	openTest(t, with(url.UserPassword("app", "s3cr3t2"), guardedURL)) // Whoever may do nothing but EVALSHA can open.
}

func TestOpenMixedUp(t *testing.T) {
	t.Parallel()
	sentinel, cluster := redistest.SharedSentinel(t), redistest.SharedCluster(t)
	refused(t.Context(), t, "redis://"+sentinel.Addrs()[0], driver.ErrInvalid, "redis+sentinel://")
	refused(t.Context(), t, "redis://"+cluster.Addrs()[0], driver.ErrInvalid, "redis+cluster://")
	u, err := url.Parse(sentinel.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/another"
	refused(t.Context(), t, u.String(), driver.ErrUnavailable, "no primary of that name")
	openTest(t, sentinel.URL())
	openTest(t, cluster.URL())
}

// TestOpenOfSilence: opening ends with its context, or by itself, though nobody
// answers; nothing is left of it.
func TestOpenOfSilence(t *testing.T) {
	t.Parallel()
	deaf, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // Connections open, and nobody reads.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = deaf.Close() })
	for _, form := range []string{"redis://%", "redis+sentinel://%/main", "redis+cluster://%"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(form, "%", deaf.Addr().String(), 1)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			begin := time.Now()
			refused(ctx, t, text, context.DeadlineExceeded, "before the server answered")
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("it took %v to give up", took)
			}
			begin = time.Now()
			refused(t.Context(), t, text, driver.ErrUnavailable, "is the server up")
			if took := time.Since(begin); took > openLimit+2*time.Second {
				t.Errorf("it took %v to give up without a deadline", took)
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	refused(ended, t, "redis://"+deaf.Addr().String(), context.Canceled, "")
}

func TestServersThatCannotServe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scheme, version, mode string
		want                  error
	}{
		{schemePlain, "7.0.0", "standalone", nil},
		{schemePlain, "7.2.4", "standalone", nil}, // Valkey says so too.
		{schemeTLS, "10.1", "standalone", nil},
		{schemeCluster, "8.0.0", "cluster", nil},
		{schemeSentinel, "7.0.0", "standalone", nil},
		{schemePlain, "6.2.14", "standalone", driver.ErrUnavailable},
		{schemePlain, "", "", driver.ErrUnavailable},
		{schemePlain, "7.0.0", "cluster", driver.ErrInvalid},
		{schemeSentinel, "7.0.0", "cluster", driver.ErrInvalid},
		{schemePlain, "7.0.0", "sentinel", driver.ErrInvalid},
	} {
		if err := (&address{scheme: c.scheme}).checkServer(c.version, c.mode); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestClientsThatAreThere: New works over a client that is set in another way
// than ours, and leaves it open.
func TestClientsThatAreThere(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*rueidis.ClientOption){
		"defaults": nil,
		"RESP2":    func(o *rueidis.ClientOption) { o.AlwaysRESP2 = true },
		"a cache":  func(o *rueidis.ClientOption) { o.DisableCache = false },
		"a pool":   func(o *rueidis.ClientOption) { o.DisableAutoPipelining = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newTestDriver(t, redistest.Start(t), change)
			handOver(t, d)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if err := d.client.Do(t.Context(), d.client.B().Ping().Build()).Error(); err != nil {
				t.Errorf("the client does not work after the driver was closed: %v", err)
			}
		})
	}
}

func testRequest(key string, ttl time.Duration) driver.Request {
	return driver.Request{Key: key, ID: driver.NewLeaseID(), Limit: 1, TTL: ttl, Tokens: 1, Owner: "a test", Now: driver.SystemClock}
}

// handOver acquires a key, and once more behind that.
func handOver(t *testing.T, d *Driver) {
	t.Helper()
	first, second := testRequest("k", time.Minute), testRequest("k", time.Minute)
	grant, err := d.Acquire(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	var next driver.Grant
	go func() {
		var err error
		next, err = d.Acquire(t.Context(), second)
		waited <- err
	}()
	for stands := false; !stands; {
		for state, err := range d.List(t.Context(), "k") {
			if err != nil {
				t.Fatal(err)
			}
			stands = len(state.Waiters) == 1
		}
	}
	begin := time.Now()
	if err := d.Release(t.Context(), driver.Hold{Key: "k", ID: first.ID, Token: grant.Token, TTL: first.TTL}); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil || next.Token <= grant.Token {
		t.Fatalf("token %d after %d, %v", next.Token, grant.Token, err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the waiter was granted after %v: it was not told", took)
	}
	if err := d.Release(t.Context(), driver.Hold{Key: "k", ID: second.ID, Token: next.Token, TTL: second.TTL}); err != nil {
		t.Fatal(err)
	}
}

// TestOpenLeavesNothing: a store that was opened and closed, or not opened,
// leaves no goroutine.
func TestOpenLeavesNothing(t *testing.T) {
	s := redistest.Start(t)
	locktest.CheckLeaks(t)
	d, err := driver.Open(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	handOver(t, d.(*Driver))
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	refused(t.Context(), t, s.URL()+"/99", driver.ErrUnavailable, "")
	refused(t.Context(), t, strings.Replace(s.URL(), "redis:", "redis+cluster:", 1), driver.ErrInvalid, "")
}
