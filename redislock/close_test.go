package redislock_test

import (
	"context"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// TestCloseWithSilentServers: a client lets go of servers that say nothing, in
// bounded time, and so do all that is under way in it.
func TestCloseWithSilentServers(t *testing.T) {
	t.Parallel()
	t.Run("standalone", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t)
		closeInSilence(t, s.URL("prefix="+prefix), s)
	})
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		s := redistest.StartSentinel(t, &redistest.SentinelOptions{Watchers: 2})
		closeInSilence(t, s.URL("prefix="+prefix), append(s.Watchers, s.Servers[:]...)...)
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		c := redistest.StartCluster(t)
		closeInSilence(t, c.URL("prefix="+prefix), c.Nodes[:]...)
	})
}

func closeInSilence(t *testing.T, url string, servers ...*redistest.Server) {
	t.Helper()
	const bound = 6 * time.Second // Twice what the driver allows itself, for a busy machine.
	other := openDriver(t, url)
	_, err := other.Acquire(t.Context(), request("k", long))
	check(t, "acquire", err)
	d, err := driver.Open(t.Context(), url)
	check(t, "open", err)
	failed := make(chan error, 2)
	begin := func(key string) { // With a context that does not end.
		go func() {
			_, err := d.Acquire(context.WithoutCancel(t.Context()), request(key, long))
			failed <- err
		}()
	}
	begin("k")
	locks := locksOver(t, other)
	until(t, "one stands in line", func() bool { return len(get(t, locks, "k").Waiters) == 1 })
	for _, s := range servers {
		freeze(t, s)
	}
	begin("free")
	<-time.After(glance)
	begun := time.Now()
	check(t, "close", d.Close())
	if took := time.Since(begun); took > bound {
		t.Errorf("Close took %v", took)
	}
	for range cap(failed) {
		wantErr(t, "an acquire under way", <-failed, driver.ErrClosed)
	}
	for _, s := range servers {
		check(t, "thaw", s.Thaw()) // Whoever else closes a client wants an answer.
	}
}
