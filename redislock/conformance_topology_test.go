package redislock_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/locktest"
	"github.com/stilelock/stile/redislock"
	"github.com/stilelock/stile/redislock/internal/chaosproxy"
	"github.com/stilelock/stile/redislock/internal/redistest"
	"github.com/stilelock/stile/redislock/internal/script"
)

// A topology is a running Redis of some kind, as the suite sees it.
type topology struct {
	// url is a store URL with a query of "name=value" pairs.
	url func(query ...string) string
	// client are the options of a client library for the same.
	client func() rueidis.ClientOption
	// servers are those that keep keys.
	servers []*redistest.Server
	// restart ends all that keep keys as a crash does, and starts them again.
	restart func() error
}

var prefixes atomic.Int64

// newPrefix returns a prefix that no other test of this process has.
func newPrefix() string { return "t" + strconv.FormatInt(prefixes.Add(1), 10) + ":" }

// conform runs the suite on a shared topology; cases that restart it get one
// of their own.
func conform(t *testing.T, shared *topology, own func(t testing.TB) *topology) {
	t.Helper()
	locktest.Run(t, locktest.Harness{
		New: func(t testing.TB, uses []locktest.Hook) locktest.Store {
			top := shared
			if slices.Contains(uses, locktest.HookRestart) {
				top = own(t)
			}
			return top.store(t, uses)
		},
	})
}

// store makes a store below a prefix of its own. Clients are opened by URL, but
// for those that a case finds by their name, or whose network it breaks.
func (top *topology) store(t testing.TB, uses []locktest.Hook) locktest.Store {
	prefix := newPrefix()
	var names sync.Map // by client
	return locktest.Store{
		URL: top.url("prefix=" + prefix),
		Open: func(ctx context.Context) (driver.Driver, error) {
			if !slices.Contains(uses, locktest.HookSession) {
				return driver.Open(ctx, top.url("prefix="+prefix))
			}
			name := "suite-" + prefix + strconv.FormatInt(prefixes.Add(1), 10)
			d, err := top.open(prefix, func(o *rueidis.ClientOption) { o.ClientName = name })
			if err == nil {
				names.Store(driver.Driver(d), name)
			}
			return d, err
		},
		Restart: func(context.Context) error { return top.restart() },
		Forget:  func(_ context.Context, key string) error { return top.forget(prefix, key) },
		Network: func(context.Context) (driver.Driver, locktest.Network, error) {
			network := chaosproxy.New(t)
			if err := top.teach(); err != nil {
				return nil, nil, err
			}
			d, err := top.open(prefix, through(network))
			return d, network, err
		},
		KillSession: func(_ context.Context, client driver.Driver) error {
			name, _ := names.Load(client)
			return top.killClient(fmt.Sprint(name))
		},
	}
}

// teach has all servers know the scripts, so that the first answer to a command
// is what it has done, and not that its script has to be sent.
func (top *topology) teach() error {
	for _, s := range top.servers {
		for _, each := range []script.Script{script.Acquire, script.Renew, script.Release, script.Break, script.Settle, script.Inspect} {
			if _, err := s.Do("SCRIPT", "LOAD", each.Text); err != nil {
				return err
			}
		}
	}
	return nil
}

// through lets a client reach all servers by a network.
func through(network *chaosproxy.Network) func(*rueidis.ClientOption) {
	return func(o *rueidis.ClientOption) {
		o.DialCtxFn = func(ctx context.Context, server string, _ *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return network.Dial(ctx, server)
		}
	}
}

// A client is a driver over a client of the library that is closed with it.
type client struct {
	*redislock.Driver

	library rueidis.Client
}

// Close closes both.
func (c *client) Close() error {
	err := c.Driver.Close()
	c.library.Close()
	return err
}

// open opens a driver over a client that the test has made.
func (top *topology) open(prefix string, change func(*rueidis.ClientOption)) (*client, error) {
	options := top.client()
	change(&options)
	library, err := rueidis.NewClient(options)
	if err != nil {
		return nil, err
	}
	d, err := redislock.New(library, &redislock.Options{Prefix: prefix})
	if err != nil {
		library.Close()
		return nil, err
	}
	return &client{Driver: d, library: library}, nil
}

// forget drops the record of an idle key, as Redis does when its retention is
// over.
func (top *topology) forget(prefix, key string) error {
	names, err := script.KeysFor(prefix, key)
	if err != nil {
		return err
	}
	dropped := int64(0)
	for _, server := range top.servers {
		n, err := server.Do("DEL", names[script.State])
		if err != nil && !elsewhere(err) {
			return err
		}
		one, _ := n.(int64)
		dropped += one
	}
	if dropped != 1 {
		return fmt.Errorf("forget key: %d records of %q were dropped", dropped, key)
	}
	return nil
}

// elsewhere reports whether a server said that a key is another one's.
func elsewhere(err error) bool {
	var reply redistest.Error
	return errors.As(err, &reply) && (strings.HasPrefix(string(reply), "MOVED") || strings.HasPrefix(string(reply), "READONLY"))
}

// killClient ends all connections of the client with a name.
func (top *topology) killClient(name string) error {
	killed := 0
	for _, server := range top.servers {
		list, err := server.Do("CLIENT", "LIST")
		if err != nil {
			return err
		}
		for line := range strings.Lines(fmt.Sprint(list)) {
			fields := strings.Fields(line)
			if !strings.Contains(line, " name="+name+" ") || len(fields) == 0 {
				continue
			}
			if _, err := server.Do("CLIENT", "KILL", "ID", strings.TrimPrefix(fields[0], "id=")); err != nil {
				return err
			}
			killed++
		}
	}
	if killed == 0 {
		return fmt.Errorf("kill client: no connection has the name %q", name)
	}
	return nil
}
