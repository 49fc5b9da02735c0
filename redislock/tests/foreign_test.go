package tests

import (
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/script"
)

const secret = "s3cr3t-value-of-another-program"

// TestForeignHolder: somebody who takes the lock's key with SET NX PX excludes
// stile, and stile excludes it.
func TestForeignHolder(t *testing.T) {
	_, l := startLock(t)
	key := l.names[script.Lock]
	foreign := func(more ...string) bool {
		return l.wire.must(t, append([]string{"SET", key, secret, "NX"}, more...)...) != nil
	}

	if !foreign("PX", "30000") {
		t.Fatal("nobody holds it")
	}
	busy := l.want(script.Busy, l.acquire(attempt(1, script.Try, "")))
	if len(busy.Holders) != 1 || !busy.Holders[0].ID.IsZero() {
		t.Fatalf("held by %+v", busy.Holders)
	}
	err := busy.Err("k", 1)
	if !strings.Contains(err.Error(), script.Foreign) || strings.Contains(err.Error(), secret) {
		t.Errorf("it says %v", err)
	}
	if left := (busy.Holders[0].Expires - busy.Now).Duration(); left > 31*time.Second || left < 10*time.Second {
		t.Errorf("it ends in %v", left)
	}
	l.want(script.WouldQueue, l.acquire(attempt(1, script.Probe, "")))
	if queued := l.want(script.Queued, l.acquire(attempt(1, script.Queue, ""))); !queued.Foreign || queued.Ahead != 0 {
		t.Errorf("it stands in line as %+v", queued)
	}
	if i := l.inspect(); !i.Foreign || len(i.Holders) != 0 || len(i.Waiters) != 1 {
		t.Errorf("it looks like %+v", i)
	}
	l.want(script.Lost, l.renew(9, time.Minute))
	l.want(script.Lost, l.release(9, script.TombIfWithdrawn))
	l.want(script.Lost, l.breakLease(9))
	if got := l.wire.must(t, "GET", key); got != secret {
		t.Fatalf("the key holds %v now", got)
	}

	// It goes, and the one who waits is next.
	l.wire.must(t, "DEL", key)
	l.want(script.Granted, l.acquire(attempt(1, script.Queue, "")))
	if foreign("PX", "30000") {
		t.Error("the key is free beside its holder")
	}
	// Somebody takes it by force: the lease is over, and the other's is not touched.
	l.wire.must(t, "SET", key, secret)
	l.want(script.Lost, l.renew(1, time.Minute))
	l.want(script.Lost, l.release(1, script.TombIfWithdrawn))
	if got := l.wire.must(t, "GET", key); got != secret || l.wire.must(t, "PTTL", key) != int64(-1) {
		t.Fatalf("the key holds %v now", got)
	}
	busy = l.want(script.Busy, l.acquire(attempt(2, script.Try, "")))
	if h := script.Holder(&busy.Holders[0], busy.Now); !h.Expires.IsZero() || h.Owner != script.Foreign {
		t.Errorf("held by %+v", h)
	}
}

// TestForeignHolderAndManyOfOurs: who holds together loses together.
func TestForeignHolderAndManyOfOurs(t *testing.T) {
	for _, how := range [][]string{{"DEL"}, {"SET", secret}, {"SET", ""}, {"SET", "stile1 "}, {"SET", "stile1 manyx"}} {
		_, l := startLock(t)
		shared := func(n int, how script.How) script.Reply {
			a := attempt(n, how, "")
			a.Mode = driver.Shared
			return l.acquire(a)
		}
		for n := range 3 {
			l.want(script.Granted, shared(n, script.Queue))
		}
		l.wire.must(t, append([]string{how[0], l.names[script.Lock]}, how[1:]...)...)
		for n := range 3 {
			l.want(script.Lost, l.renew(n, time.Minute))
			l.want(script.Lost, l.release(n, script.TombNever))
		}
		if there := l.presentFrom(script.State); there[script.Held] || there[script.Due] || there[script.Entries] {
			t.Errorf("after %q there are %v", how, there)
		}
		if how[0] == "DEL" {
			l.want(script.Granted, shared(4, script.Queue))
		} else if got := shared(4, script.Try); got.Status != script.Busy {
			t.Errorf("after %q: %+v", how, got)
		}
	}
}

// TestKeyOfAnotherType: a key of the user's own under the lock's name is left
// alone, and so is what else there is.
func TestKeyOfAnotherType(t *testing.T) {
	_, l := startLock(t)
	for i, name := range []int{script.Lock, script.State} {
		l.wire.must(t, "FLUSHALL")
		l.wire.must(t, "RPUSH", l.names[name], "mine")
		block := attempt(1, script.Queue, "")
		block.Tokens = 5
		for what, run := range map[string]func() ([]any, error){
			"acquire": func() ([]any, error) {
				return l.run(&l.scripts.acquire, script.AcquireArgs(attempt(1, script.Queue, ""), l.retention))
			},
			"acquire a block": func() ([]any, error) { return l.run(&l.scripts.acquire, script.AcquireArgs(block, l.retention)) },
			"release": func() ([]any, error) {
				return l.run(&l.scripts.release, script.ReleaseArgs(attemptID(1), script.TombAlways, l.retention))
			},
			"renew": func() ([]any, error) {
				return l.run(&l.scripts.renew, script.RenewArgs(attemptID(1), 0, 1e6, l.retention))
			},
			"break": func() ([]any, error) {
				return l.run(&l.scripts.breaks, script.BreakArgs(attemptID(1), driver.BreakNow, l.retention))
			},
		} {
			if i == script.State && what != "acquire" {
				continue
			}
			if answer, err := run(); !strings.HasPrefix(refused(err), "WRONGTYPE") {
				t.Errorf("%s: answered %v, %v", what, answer, err)
			}
		}
		if got := l.wire.must(t, "LLEN", l.names[name]); got != int64(1) {
			t.Errorf("the list has %v members now", got)
		}
		if n := l.wire.must(t, "DBSIZE"); n != int64(1) {
			t.Errorf("there are %v keys: %v", n, l.wire.must(t, "KEYS", "*"))
		}
	}
}
