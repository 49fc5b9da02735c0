package tests

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock"
	"github.com/stilelock/stile/zklock/internal/zk"
	"github.com/stilelock/stile/zklock/internal/zkproxy"
	"github.com/stilelock/stile/zklock/internal/zktest"
)

const (
	// key is what every test locks, below a root of its own.
	key = "k"
	// slack bounds what should happen at once. Only a test that fails waits
	// for it.
	slack = 30 * time.Second
	// glance is how long a test looks on to see that nothing happens.
	glance = 300 * time.Millisecond
	// long is a TTL that does not run out within a test.
	long = 5 * time.Minute
)

// onBoth runs a test on a server that is alone, and on an ensemble.
func onBoth(t *testing.T, test func(t *testing.T, servers []string)) {
	t.Helper()
	t.Run("standalone", func(t *testing.T) { test(t, []string{zktest.Shared(t).Addr}) })
	t.Run("ensemble", func(t *testing.T) { test(t, zktest.SharedEnsemble(t).Addrs()) })
}

var roots atomic.Int64

// root is a node of a test's own.
func root() string { return fmt.Sprintf("/faults-%d", roots.Add(1)) }

// openDriver opens a driver, which is closed with the test.
func openDriver(t *testing.T, servers []string, root string) *zklock.Driver {
	t.Helper()
	d, err := zklock.New(servers, &zklock.Options{Root: root, Tick: zktest.Tick})
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

// breakable opens a driver whose way to the servers is a network that the test
// can break.
func breakable(t *testing.T, servers []string, root string) (*zklock.Driver, *zkproxy.Network) {
	t.Helper()
	network := zkproxy.New(t)
	addrs, err := network.Addrs(servers...)
	if err != nil {
		t.Fatal(err)
	}
	d := openDriver(t, addrs, root)
	t.Cleanup(network.Heal) // Before the driver is closed.
	return d, network
}

// direct opens a session of the test's own.
func direct(t *testing.T, servers []string) *zk.Session {
	t.Helper()
	s, err := zk.Open(t.Context(), zk.Config{Servers: servers, Timeout: slack})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.WithoutCancel(t.Context())) })
	return s
}

// killSessions ends all sessions that a client has had, as their owner could. The
// network is cut, so that the client cannot take one back.
func killSessions(t *testing.T, servers []string, network *zkproxy.Network) {
	t.Helper()
	for _, seen := range network.Sessions() {
		for deadline := time.Now().Add(slack); ; { // Until it is seen to be over.
			thief, err := zk.Resume(t.Context(), zk.Config{Servers: servers, Timeout: slack}, seen.ID, seen.Password)
			if errors.Is(err, zk.ErrExpired) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			// A server may end the connection before it says that the session has ended.
			if err := thief.Close(t.Context()); err != nil && (!errors.Is(err, zk.ErrUnknown) || time.Now().After(deadline)) {
				t.Fatal(err)
			}
		}
	}
}

// lookers are the sessions by which tests look: one for each test and its servers.
var lookers sync.Map

func looker(t *testing.T, servers []string) *zk.Session {
	t.Helper()
	of := t.Name() + " " + strings.Join(servers, ",")
	if s, known := lookers.Load(of); known {
		return s.(*zk.Session)
	}
	s := direct(t, servers)
	lookers.Store(of, s)
	t.Cleanup(func() { lookers.Delete(of) })
	return s
}

// children are the nodes in a folder. A server that is too busy to answer in time is
// asked again: it is not what is tested.
func children(t *testing.T, servers []string, folder string) []string {
	t.Helper()
	s := looker(t, servers)
	for deadline := time.Now().Add(slack); ; {
		calls := s.Start(&zk.Sync{Path: folder}, &zk.Children{Path: folder})
		_, err := calls[0].Wait(t.Context())
		var reply *zk.Reply
		if err == nil {
			reply, err = calls[1].Wait(t.Context())
		}
		switch {
		case err == nil:
			return reply.Children
		case errors.Is(err, zk.NoNode):
			return nil
		case !errors.Is(err, zk.ErrUnknown) || time.Now().After(deadline):
			t.Fatal(err)
		}
	}
}

// makeFolder makes the folder of the key, to stay.
func makeFolder(t *testing.T, servers []string, root string) {
	t.Helper()
	s := direct(t, servers)
	for _, path := range []string{root, root + "/" + key} {
		acl := []zk.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}
		if _, err := s.Start(&zk.Create{Path: path, ACL: acl, Mode: zk.Persistent})[0].Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// wantNothing checks that nobody holds the key or waits for it.
func wantNothing(t *testing.T, servers []string, root string) {
	t.Helper()
	if left := children(t, servers, root+"/"+key); len(left) > 0 {
		t.Errorf("left in line: %v", left)
	}
}

// until waits for something that the test cannot be told of.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(slack); !yes(); {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", slack, what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// A try is an acquire, under way or over.
type try struct {
	t     *testing.T
	d     driver.Driver
	req   driver.Request
	done  chan struct{} // closed when it is over
	grant driver.Grant
	err   error
	at    time.Time // when it was over
}

// begin starts an acquire.
func begin(t *testing.T, d driver.Driver, ttl time.Duration) *try {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a := &try{t: t, d: d, done: make(chan struct{}), req: driver.Request{
		Key: key, ID: driver.NewLeaseID(), Limit: 1, TTL: ttl, Tokens: 1, Owner: "a test", Now: driver.SystemClock,
	}}
	go func() {
		defer close(a.done)
		a.grant, a.err = d.Acquire(ctx, a.req)
		a.at = time.Now()
	}()
	t.Cleanup(func() {
		cancel()
		<-a.done
	})
	return a
}

// granted waits for the grant.
func (a *try) granted() *try {
	a.t.Helper()
	select {
	case <-a.done:
	case <-time.After(slack):
		a.t.Fatalf("not granted after %v", slack)
	}
	if a.err != nil {
		a.t.Fatal(a.err)
	}
	return a
}

// waits checks that the acquire stands in line.
func (a *try) waits() {
	a.t.Helper()
	select {
	case <-a.done:
		a.t.Fatalf("it does not wait: %+v, %v", a.grant, a.err)
	case <-time.After(glance):
	}
}

func (a *try) hold() driver.Hold {
	return driver.Hold{Key: key, ID: a.req.ID, Token: a.grant.Token, TTL: a.req.TTL}
}

func (a *try) release() {
	a.t.Helper()
	if err := a.d.Release(a.t.Context(), a.hold()); err != nil {
		a.t.Fatal(err)
	}
}
