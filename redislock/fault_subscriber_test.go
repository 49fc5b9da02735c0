package redislock_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// clientIDs are the ids of all connections by TCP.
func clientIDs(t *testing.T, s *redistest.Server) []string {
	t.Helper()
	var ids []string
	for line := range strings.Lines(fmt.Sprint(s.Must(t, "CLIENT", "LIST"))) {
		if fields := strings.Fields(line); len(fields) > 0 && strings.Contains(line, " addr=127.0.0.1:") {
			ids = append(ids, strings.TrimPrefix(fields[0], "id="))
		}
	}
	return ids
}

// TestSubscriberIsCutWhileWaiting: the connection that news comes by is ended
// while many wait. With time to connect again the line stands as it was; without,
// whoever could not be reached stands in line anew. In no case does anybody wait for
// much longer than it takes to connect.
func TestSubscriberIsCutWhileWaiting(t *testing.T) {
	t.Parallel()
	for name, atOnce := range map[string]bool{"and listens again": false, "and is granted at once": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			clients := []*stile.Locker{openLocks(t, s.URL("prefix="+prefix)), openLocks(t, s.URL("prefix="+prefix))}
			lease := acquire(t, clients[0], "k", &stile.Options{TTL: time.Minute})
			var line []*waiter
			for i := range 6 {
				line = append(line, stand(t, clients[i%2], "k", &stile.Options{TTL: time.Minute}))
			}
			for len(line) > 0 {
				// Those who wait listen; whether others do is up to them.
				listen := func() bool { return subscribers(t, s) >= min(2, len(line)) }
				until(t, "those who wait listen", listen)
				if n, _ := s.Must(t, "CLIENT", "KILL", "TYPE", "pubsub").(int64); n == 0 {
					t.Error("no subscriber was there to be cut")
				}
				if !atOnce {
					until(t, "those who wait listen again", listen)
				}
				begin, next := time.Now(), 0
				release(t, lease)
				if atOnce {
					next = firstOver(t, line)
				}
				lease = line[next].granted(t)
				took := time.Since(begin)
				t.Logf("%d in line: the hand-over took %v", len(line), took)
				if took > slack/4 {
					t.Errorf("%d in line: the hand-over took %v", len(line), took)
				}
				line = slices.Delete(line, next, next+1)
			}
			release(t, lease)
			wantNothing(t, s, "k")
		})
	}
}

// firstOver waits until one of the waiters is over, and returns which.
func firstOver(t *testing.T, line []*waiter) int {
	t.Helper()
	which := -1
	until(t, "one of the waiters is served", func() bool {
		which = slices.IndexFunc(line, func(w *waiter) bool {
			select {
			case <-w.done:
				return true
			default:
				return false
			}
		})
		return which >= 0
	})
	return which
}

// subscribers counts the wake channels that somebody listens to.
func subscribers(t *testing.T, s *redistest.Server) int {
	t.Helper()
	channels, _ := s.Must(t, "PUBSUB", "CHANNELS", "stile:*").([]any)
	return len(channels)
}
