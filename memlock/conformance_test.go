package memlock

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/locktest"
)

func TestMain(m *testing.M) {
	locktest.Child(nil)
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	var stores atomic.Int64
	locktest.Run(t, locktest.Harness{
		New: func(testing.TB, []locktest.Hook) locktest.Store {
			name := fmt.Sprintf("conformance-%d", stores.Add(1))
			return locktest.Store{
				URL:    "mem:" + name,
				Open:   func(ctx context.Context) (driver.Driver, error) { return driver.Open(ctx, "mem:"+name) },
				Forget: func(_ context.Context, key string) error { return forget(name, key) },
			}
		},
		Without: map[locktest.Hook]string{
			locktest.HookRestart: "the store has no server",
			locktest.HookNetwork: "the store is reached without a network",
			locktest.HookSession: "a lease depends on no connection",
		},
	})
}

// forget drops the record of an idle key at once, as retire does when its
// retention time is over.
func forget(store, name string) error {
	named.Lock()
	s := named.stores[store]
	named.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	key := s.keys[name]
	if key == nil || key.idle == nil {
		return fmt.Errorf("key %q is not idle", name)
	}
	s.idle.Remove(key.idle)
	delete(s.keys, name)
	return nil
}
