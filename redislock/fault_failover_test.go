package redislock_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/redislock/internal/redistest"
	"github.com/stilelock/stile/redislock/internal/script"
)

// replicated waits until the replica has what the primary has of a key.
func replicated(t *testing.T, s *redistest.Sentinel, key string) {
	t.Helper()
	names, err := script.KeysFor(prefix, key)
	check(t, "name keys", err)
	until(t, "the replica has the lock", func() bool {
		for _, name := range []string{names[script.State], names[script.Line]} {
			read := []string{"GET", name}
			if name == names[script.Line] {
				read = []string{"ZRANGE", name, "0", "-1"}
			}
			if fmt.Sprint(s.Servers[0].Must(t, read...)) != fmt.Sprint(s.Servers[1].Must(t, read...)) {
				return false
			}
		}
		return true
	})
}

// TestFailoverWhileHeldAndWaiting: what has reached the replica outlives the
// failover: the lease is renewed at the new primary, and the line is served
// there in order.
func TestFailoverWhileHeldAndWaiting(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*testing.T, *redistest.Sentinel){
		"by command": func(t *testing.T, s *redistest.Sentinel) {
			t.Helper()
			check(t, "fail over", s.Failover())
		},
		"by death": func(t *testing.T, s *redistest.Sentinel) {
			t.Helper()
			primary, err := s.Primary()
			check(t, "find the primary", err)
			check(t, "kill the primary", primary.Kill())
			check(t, "wait for the Sentinels", s.Moved(primary))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.StartSentinel(t, &redistest.SentinelOptions{Watchers: 3, DownAfter: time.Second})
			locks := openLocks(t, s.URL("prefix="+prefix))
			others := openLocks(t, s.URL("prefix="+prefix))
			first := acquire(t, locks, "k", &stile.Options{TTL: 30 * time.Second})
			line := []*waiter{
				stand(t, locks, "k", &stile.Options{TTL: 30 * time.Second}),
				stand(t, others, "k", &stile.Options{TTL: 30 * time.Second}),
			}
			replicated(t, s, "k")
			fail(t, s)
			holds(t, first)
			for _, w := range line {
				w.waits(t)
			}
			release(t, first)
			second := line[0].granted(t)
			line[1].waits(t)
			release(t, second)
			third := line[1].granted(t)
			if first.Token() >= second.Token() || second.Token() >= third.Token() {
				t.Errorf("tokens %d, %d, %d do not rise", first.Token(), second.Token(), third.Token())
			}
			release(t, third)
			primary, err := s.Primary()
			check(t, "find the primary", err)
			wantNothing(t, primary, "k")
		})
	}
}

// TestFailoverThatLostTheLock: a lock that never reached the replica is lost
// with its primary: the holder is told by its renewal, and tokens rise.
func TestFailoverThatLostTheLock(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t, &redistest.SentinelOptions{Watchers: 3, DownAfter: time.Second})
	locks := openLocks(t, s.URL("prefix="+prefix))
	others := openLocks(t, s.URL("prefix="+prefix))
	primary, err := s.Primary()
	check(t, "find the primary", err)
	// A frozen replica does not connect again, and so hears of nothing that follows.
	freeze(t, s.Servers[1])
	primary.Must(t, "CLIENT", "KILL", "TYPE", "replica")
	first := acquire(t, locks, "k", &stile.Options{TTL: 10 * time.Second})
	check(t, "kill the primary", primary.Kill())
	check(t, "thaw the replica", s.Servers[1].Thaw())
	check(t, "wait for the Sentinels", s.Moved(primary))
	var next *stile.Lease
	until(t, "the new primary grants", func() bool {
		if next, err = others.Acquire(within(t, slack), "k", &stile.Options{TTL: 10 * time.Second}); err != nil {
			wantErr(t, "Acquire while the client looks for the new primary", err, stile.ErrUnavailable)
		}
		return err == nil
	})
	if next.Token() <= first.Token() {
		t.Errorf("token %d after token %d", next.Token(), first.Token())
	}
	await(t, "the holder is told", first.Done())
	wantErr(t, "the lease", first.Err(), stile.ErrLost)
	if err := next.Err(); err != nil {
		t.Errorf("the next holder has lost its lease: %v", err)
	}
	release(t, next)
}
