package coexist

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stilelock/stile/redislock/internal/redistest"
)

// Programs of four kinds work on one counter, which each reads, and writes a
// moment later.
func TestMixedContention(t *testing.T) {
	for name, prefix := range map[string]string{"default prefix": "lock:", "own prefix": "mutex/", "no prefix": ""} {
		t.Run(name, func(t *testing.T) { mixedContention(t, prefix) })
	}
}

func mixedContention(t *testing.T, prefix string) {
	server := redistest.Start(t)
	key := prefix + "counter"
	const retry = 5 * time.Millisecond
	users := slices.Concat(foreignUsers(t, server, retry), foreignUsers(t, server, retry))
	for range 4 {
		users = append(users, stileUser(t, server, prefix))
	}
	const rounds = 30
	var (
		inside   atomic.Int32
		counter  atomic.Int64
		mu       sync.Mutex
		sequence []string // who held the key, in order
		wg       sync.WaitGroup
	)
	for _, u := range users {
		wg.Go(func() {
			for range rounds {
				unlock, err := u.lock(t.Context(), key, 20*time.Second)
				if err != nil {
					t.Errorf("%s: lock: %v", u.name, err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d hold the key, %s is one of them", n, u.name)
				}
				seen := counter.Load()
				mu.Lock()
				sequence = append(sequence, u.name)
				mu.Unlock()
				<-time.After(time.Millisecond)
				counter.Store(seen + 1)
				inside.Add(-1)
				if err := unlock(t.Context()); err != nil {
					t.Errorf("%s: unlock: %v", u.name, err)
				}
				<-time.After(rand.N(40 * time.Millisecond))
			}
		})
	}
	wg.Wait()
	if got, want := counter.Load(), int64(len(users)*rounds); got != want {
		t.Errorf("the counter is %d, want %d", got, want)
	}
	// A test in which the kinds take turns as whole blocks would show little.
	changes := 0
	for i := range sequence[1:] {
		if (sequence[i] == "stile") != (sequence[i+1] == "stile") {
			changes++
		}
	}
	if changes < 20 {
		t.Errorf("the key went between stile and the others only %d times: %s", changes, strings.Join(sequence, " "))
	}
	t.Logf("%d holds, %d times between stile and the others", len(sequence), changes)
}
