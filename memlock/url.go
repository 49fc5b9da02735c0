package memlock

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/stilelock/stile/driver"
)

func init() { driver.Register("mem", open) }

// named are the stores that URLs name, for as long as they have clients.
var named struct {
	sync.Mutex
	stores map[string]*store
	users  map[string]int
}

// open opens mem:NAME: a store that all clients of that name in this process
// share until the last one is closed. The query key retention is
// Options.Retention; it counts for the client that creates the store.
func open(_ context.Context, u *url.URL, query *driver.Query) (driver.Driver, error) {
	retention := query.Duration("retention", defaultRetention)
	if err := query.Err(); err != nil {
		return nil, err
	}
	if retention <= 0 {
		return nil, fmt.Errorf("read query key %q: %w: want more than 0", "retention", driver.ErrInvalid)
	}
	return openNamed(u.Opaque+u.Host+u.Path, retention), nil
}

func openNamed(name string, retention time.Duration) *Driver {
	named.Lock()
	defer named.Unlock()
	if named.stores == nil {
		named.stores = make(map[string]*store)
		named.users = make(map[string]int)
	}
	if named.stores[name] == nil {
		named.stores[name] = newStore(&Options{Retention: retention})
	}
	named.users[name]++
	return newClient(named.stores[name], func() {
		named.Lock()
		defer named.Unlock()
		named.users[name]--
		if named.users[name] == 0 {
			delete(named.stores, name)
			delete(named.users, name)
		}
	})
}
