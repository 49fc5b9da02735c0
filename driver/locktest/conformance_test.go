package locktest_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/driver/locktest"
)

func TestMain(m *testing.M) {
	locktest.Child(openURL)
	os.Exit(m.Run())
}

// TestHonestDriver: a driver with all capabilities, on a harness with all
// hooks, passes all cases and skips none.
func TestHonestDriver(t *testing.T) {
	locktest.Run(t, harness("", ""))
}

// TestPoorDriver: a driver whose store lacks all that can be refused, and that
// says so, passes too.
func TestPoorDriver(t *testing.T) {
	t.Parallel()
	var lacks []string
	for _, capability := range []driver.Capability{
		driver.CapShared, driver.CapLimit, driver.CapMinHold, driver.CapTokenBlocks, driver.CapTTL, driver.CapAdopt, driver.CapBreak,
	} {
		lacks = append(lacks, string(capability))
	}
	h := harness("", strings.Join(lacks, ","))
	h.TTL = 150 * time.Millisecond
	locktest.RunWanted(t, h, func(string) bool { return true })
}

// harness makes stores behind real sockets, with a bug or without.
func harness(bug, lacks string) locktest.Harness {
	return locktest.Harness{New: func(t testing.TB, _ []locktest.Hook) locktest.Store {
		t.Helper()
		s := newStore(bug)
		srv := startServer(t, s)
		open := func(address string) *client { return newClient(address, bug, lacks) }
		return locktest.Store{
			Open: func(context.Context) (driver.Driver, error) { return open(srv.address), nil },
			URL: (&url.URL{
				Scheme: "testlock", Host: srv.address, RawQuery: url.Values{"bug": {bug}, "lacks": {lacks}}.Encode(),
			}).String(),
			Restart: func(context.Context) error { return srv.restart() },
			Forget:  func(_ context.Context, key string) error { return s.forget(key) },
			Network: func(context.Context) (driver.Driver, locktest.Network, error) {
				proxy := locktest.NewProxy(t, "tcp", srv.address)
				return open(proxy.Addr()), proxy, nil
			},
			KillSession: func(_ context.Context, d driver.Driver) error {
				srv.killSession(d.(*client).name)
				return nil
			},
		}
	}}
}

// forget drops the record of an idle key.
func (s *store) forget(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if memory := s.keys[key]; memory != nil {
		if record, _ := memory.Key(); !record.Idle() {
			return fmt.Errorf("key %q is in use", key)
		}
	}
	delete(s.keys, key)
	return nil
}

var _ lockqueue.View = (*view)(nil)
