package redislock_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// TestNoKeyIsLeftAfterRetention: locks of every kind that were used and let
// go, or never let go, are gone from Redis when their TTL and the retention are over.
func TestNoKeyIsLeftAfterRetention(t *testing.T) {
	t.Parallel()
	const keys = 3000
	s := redistest.Start(t)
	d := openDriver(t, s.URL("prefix="+prefix, "retention=2s"))
	locks := locksOver(t, d)
	var work sync.WaitGroup
	for i := range 30 {
		work.Go(func() {
			for j := range keys / 30 {
				key := fmt.Sprintf("k%d-%d", i, j)
				if err := useUp(t, locks, d, key, j); err != nil {
					t.Errorf("use %s: %v", key, err)
					return
				}
			}
		})
	}
	work.Wait()
	if n, _ := s.Must(t, "DBSIZE").(int64); n < keys/2 {
		t.Errorf("the server has %d keys before their time: this shows nothing", n)
	}
	// Tombstones, which keep late commands from doing harm, stay for a minute, and
	// their lock's state with them, however short the retention is.
	deadline := time.Now().Add(slack)
	for s.Must(t, "DBSIZE") != tombstones(t, s) {
		if time.Now().After(deadline) {
			name := fmt.Sprint(s.Must(t, "RANDOMKEY"))
			t.Fatalf("%v keys are left, and only %v of them are tombstones; one is %s: %s, for %v ms more",
				s.Must(t, "DBSIZE"), tombstones(t, s), name, show(t, s, name), s.Must(t, "PTTL", name))
		}
		<-time.After(glance)
	}
	if tombstones(t, s) == int64(0) {
		t.Error("nobody who gave up has left a tombstone")
	}
	if testing.Short() {
		return
	}
	for range 4 { // A minute in steps that until is patient for.
		<-time.After(slack * 3 / 4)
	}
	until(t, "no key is left", func() bool { return s.Must(t, "DBSIZE") == int64(0) })
}

// tombstones counts the keys that hold tombstones, and the states beside them.
func tombstones(t *testing.T, s *redistest.Server) any {
	t.Helper()
	return s.Must(t, "EVAL", `
		local n = 0
		for _, name in ipairs(redis.call('KEYS', 'stile:gone:*')) do
			n = n + redis.call('EXISTS', name, (name:gsub('gone', 'state', 1)))
		end
		return n`, "0")
}

// useUp uses a key in one of several ways.
func useUp(t *testing.T, locks *stile.Locker, d driver.Driver, key string, way int) error {
	t.Helper()
	opts := &stile.Options{TTL: slack} // What is let go does not stay for that long.
	switch way % 4 {
	case 0: // Never let go.
		_, err := d.Acquire(t.Context(), request(key, 500*time.Millisecond))
		return err
	case 1: // With somebody in line who gives up.
		first, err := locks.Acquire(t.Context(), key, opts)
		if err != nil {
			return err
		}
		if _, err := locks.Acquire(t.Context(), key, &stile.Options{TTL: slack, Wait: 20 * time.Millisecond}); err == nil {
			return fmt.Errorf("two hold %s", key)
		}
		return letGo(t, first)
	case 2:
		opts.Shared = true
	case 3:
		opts.Limit = 3
	}
	first, err := locks.Acquire(t.Context(), key, opts)
	if err != nil {
		return err
	}
	second, err := locks.Acquire(t.Context(), key, opts)
	if err != nil {
		return err
	}
	if err := letGo(t, first); err != nil {
		return err
	}
	return letGo(t, second)
}
