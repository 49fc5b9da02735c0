package zklock

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/locktest"
	"github.com/stilelock/stile/zklock/internal/zk"
	"github.com/stilelock/stile/zklock/internal/zktest"
)

// atOnce is how many tests run at once unless -test.parallel says otherwise:
// most of what they do is to wait.
const atOnce = "16"

func TestMain(m *testing.M) {
	locktest.Child(nil)
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	status := m.Run()
	if err := zktest.StopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	os.Exit(status)
}

var stores atomic.Int64

// root is a node of a test's own.
func root() string { return fmt.Sprintf("/conformance-%d", stores.Add(1)) }

func storeURL(servers []string, root string) string {
	return fmt.Sprintf("zookeeper://%s%s?tick=%s", strings.Join(servers, ","), root, zktest.Tick)
}

func TestConformanceStandalone(t *testing.T) {
	shared := zktest.Shared(t)
	conform(t, 1200*time.Millisecond, func(testing.TB) []string { return []string{shared.Addr} }, func(t testing.TB) ([]string, func() error) {
		s := zktest.Start(t)
		return []string{s.Addr}, func() error { return errors.Join(s.Kill(), s.Again()) }
	})
}

func TestConformanceEnsemble(t *testing.T) {
	shared := zktest.SharedEnsemble(t)
	// Sessions of an ensemble end sooner on a machine that gives it little time: three
	// processes have to answer, and write, for one to live.
	conform(t, 3*time.Second, func(testing.TB) []string { return shared.Addrs() }, func(t testing.TB) ([]string, func() error) {
		e := zktest.StartEnsemble(t)
		return e.Addrs(), e.Restart
	})
}

// conform runs the suite. A case that restarts its store gets servers of its own.
func conform(t *testing.T, ttl time.Duration, shared func(testing.TB) []string, own func(testing.TB) ([]string, func() error)) {
	locktest.Run(t, locktest.Harness{
		TTL:   ttl,
		Slack: 20 * time.Second, // A busy machine can keep three Java processes from answering for seconds.
		New: func(t testing.TB, uses []locktest.Hook) locktest.Store {
			servers := shared(t)
			restart := func() error { return errors.New("the server is shared") }
			for _, hook := range uses {
				if hook == locktest.HookRestart {
					servers, restart = own(t)
				}
			}
			path := root()
			it := store(servers, path, restart)
			it.Network = func(ctx context.Context) (driver.Driver, locktest.Network, error) {
				proxy := locktest.NewProxy(t, "tcp", servers[0])
				d, err := driver.Open(ctx, storeURL([]string{proxy.Addr()}, path))
				return d, proxy, err
			}
			return it
		},
	})
}

func store(servers []string, path string, restart func() error) locktest.Store {
	url := storeURL(servers, path)
	return locktest.Store{
		URL:     url,
		Open:    func(ctx context.Context) (driver.Driver, error) { return openGated(ctx, servers, path) },
		Restart: func(context.Context) error { return restart() },
		Forget:  func(ctx context.Context, key string) error { return forget(ctx, servers, path+"/"+escape(key)) },
		KillSession: func(ctx context.Context, client driver.Driver) error {
			return killSessions(ctx, servers, client.(*Driver))
		},
	}
}

// forget deletes the folder of an idle key, as the servers do after a while.
func forget(ctx context.Context, servers []string, folder string) error {
	s, err := zk.Open(ctx, zk.Config{Servers: servers, Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	defer s.Close(ctx)
	_, err = s.Start(&zk.Delete{Path: folder, Version: -1})[0].Wait(ctx)
	if errors.Is(err, zk.NoNode) {
		return nil // The servers were first.
	}
	return err
}

// A gate keeps a driver from connecting while its sessions are ended.
type gate struct{ sync.RWMutex }

// gates are those of the drivers that [openGated] has opened.
var gates sync.Map

// openGated opens a driver whose sessions can be ended.
func openGated(ctx context.Context, servers []string, path string) (driver.Driver, error) {
	d, err := New(servers, &Options{Root: path, Tick: zktest.Tick})
	if err != nil {
		return nil, err
	}
	var it gate
	d.sessions.config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		it.RLock()
		defer it.RUnlock()
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	if err := d.look(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	gates.Store(d, &it)
	return d, nil
}

// killSessions ends all sessions of a driver, as if somebody else had closed them.
// Until that is done it must not come back: a server that closes a session may leave
// one of its connections open, and answers nothing over that one.
func killSessions(ctx context.Context, servers []string, d *Driver) error {
	it, _ := gates.Load(d)
	it.(*gate).Lock()
	defer it.(*gate).Unlock()
	d.sessions.mu.Lock()
	var all []*zk.Session
	for _, it := range d.sessions.byTTL {
		if isReady(it) {
			all = append(all, it.session)
		}
	}
	d.sessions.mu.Unlock()
	for _, s := range all {
		id, password := s.Credentials()
		thief, err := zk.Resume(ctx, zk.Config{Servers: servers, Timeout: s.Timeout()}, id, password)
		if err != nil {
			return err
		}
		if err := thief.Close(ctx); err != nil {
			return err
		}
	}
	return nil
}
