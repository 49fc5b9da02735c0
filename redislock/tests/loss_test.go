package tests

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/script"
)

// TestKeysThatAreTakenAway plays random commands to a lock of whose seven keys
// some are deleted now and then, as an operator or an eviction may. No script
// fails, no two hold what one can hold as far as the lock's key tells, every
// key goes by itself one day, tokens rise, and in the end the lock is as new.
func TestKeysThatAreTakenAway(t *testing.T) {
	_, l := startLock(t)
	taken, granted := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		l.wire.must(t, "FLUSHALL")
		l.stop()
		l.t = t
		last := uint64(0)
		for range rapid.SampledFrom([]int{20, 100}).Draw(t, "moves") {
			n := rapid.IntRange(0, 9).Draw(t, "attempt")
			switch kind := rapid.IntRange(0, 99).Draw(t, "kind"); {
			case kind < 45:
				a := attempt(n, rapid.SampledFrom([]script.How{script.Queue, script.Queue, script.Queue, script.Try, script.Probe}).Draw(t, "how"), "")
				switch rapid.IntRange(0, 5).Draw(t, "oddity") {
				case 0, 1:
					a.Mode = driver.Shared
				case 2:
					a.Limit = 3
				case 3:
					a.MinHold = 100_000_000
				}
				r := l.acquire(a)
				if r.Status != script.Granted {
					break
				}
				granted++
				// A copy finds the token that it has; a new lease has a greater one, for the wall clock goes on.
				if r.Since == l.clock.Lease && r.Token <= last && r.Token < uint64(l.clock.Wall) {
					t.Fatalf("token %d after %d", r.Token, last)
				}
				last = max(last, r.Token)
			case kind < 60:
				l.release(n, rapid.SampledFrom([]script.Tomb{script.TombNever, script.TombIfWithdrawn, script.TombAlways}).Draw(t, "tomb"))
			case kind < 65:
				l.renew(n, time.Minute)
			case kind < 68:
				l.breakLease(n)
			case kind < 85:
				for _, name := range l.names {
					if rapid.IntRange(0, 3).Draw(t, "take") == 0 && l.wire.must(t, "DEL", name) == int64(1) {
						taken++
					}
				}
			default:
				l.pass(rapid.SampledFrom([]time.Duration{1000, time.Second, 30 * time.Second, 70 * time.Second}).Draw(t, "step"))
			}
			there, i := l.present(), l.inspect()
			if len(i.Holders) > 0 && !there[script.Lock] {
				t.Fatalf("%+v hold, and the lock's key is not there", i.Holders)
			}
			exclusive, shared := 0, 0
			for j := range i.Holders {
				if i.Holders[j].Mode == driver.Shared {
					shared++
				} else {
					exclusive++
				}
			}
			if exclusive > 3 || exclusive > 0 && shared > 0 {
				t.Fatalf("%+v hold", i.Holders)
			}
		}
		// All leases end; what is left over goes, and a newcomer has the lock.
		l.pass(time.Hour)
		l.settle()
		if i := l.inspect(); len(i.Holders) > 0 || len(i.Waiters) > 0 {
			t.Fatalf("after an hour there are %+v", i)
		}
		l.want(script.Granted, l.acquire(attempt(100, script.Queue, "")))
		l.want(script.OK, l.release(100, script.TombNever))
		if there := l.present(); there[script.Lock] || there[script.Line] && l.wire.must(t, "ZCARD", l.names[script.Line]) != int64(0) {
			t.Fatalf("in the end there are %v", there)
		}
	})
	if taken < 50 || granted < 50 {
		t.Errorf("the runs are not worth much: %d keys were taken, %d attempts granted", taken, granted)
	}
}

// TestLeftoverInDueIsNoHolder: a lease that ended with the keys that were taken
// away is not subtracted from those who hold afterwards.
func TestLeftoverInDueIsNoHolder(t *testing.T) {
	_, l := startLock(t)
	l.stop()
	sharer := func(n int) *script.Attempt {
		a := attempt(n, script.Queue, "")
		a.Mode = driver.Shared
		return a
	}
	l.want(script.Granted, l.acquire(sharer(1)))
	l.want(script.Granted, l.acquire(sharer(2)))
	l.wire.must(t, "DEL", l.names[script.Lock], l.names[script.State], l.names[script.Entries], l.names[script.Held])
	l.want(script.Granted, l.acquire(sharer(2)))
	l.want(script.Busy, l.acquire(attempt(3, script.Try, "")))
	if i := l.inspect(); len(i.Holders) != 1 || i.Holders[0].ID != attemptID(2) {
		t.Errorf("%+v hold", i.Holders)
	}
}

// TestReleaseOfTheLastThatIsLeft: one of two who hold together is still counted,
// though the list that it stood in was taken away and its lease has ended. The
// release of the other fails over nothing.
func TestReleaseOfTheLastThatIsLeft(t *testing.T) {
	_, l := startLock(t)
	l.stop()
	sharer := func(n int) *script.Attempt {
		a := attempt(n, script.Queue, "")
		a.Mode = driver.Shared
		return a
	}
	l.want(script.Granted, l.acquire(sharer(1)))
	l.pass(30 * time.Second)
	l.wire.must(t, "DEL", l.names[script.Held])
	l.want(script.Granted, l.acquire(sharer(2)))
	l.pass(30*time.Second + time.Millisecond)
	l.want(script.OK, l.release(2, script.TombNever))
	if i := l.inspect(); len(i.Holders) != 0 {
		t.Errorf("%+v hold", i.Holders)
	}
	l.want(script.Granted, l.acquire(attempt(3, script.Try, "")))
}

// TestNothingStays: by the server's own clock, all that a lock leaves behind is
// gone soon after its retention time. Tombstones alone take a minute.
func TestNothingStays(t *testing.T) {
	_, l := startLock(t)
	l.retention = 200 * time.Millisecond
	short := func(n int, how script.How) *script.Attempt {
		a := attempt(n, how, "")
		a.TTL, a.WaiterTTL = 300_000, 200_000
		return a
	}
	for name, use := range map[string]func(){
		"used once": func() {
			l.want(script.Granted, l.acquire(short(1, script.Queue)))
			l.want(script.OK, l.release(1, script.TombIfWithdrawn))
		},
		"left held":    func() { l.want(script.Granted, l.acquire(short(1, script.Queue))) },
		"left waiting": func() { l.acquire(short(1, script.Queue)); l.want(script.Queued, l.acquire(short(2, script.Queue))) },
		"a block":      func() { a := short(1, script.Queue); a.Tokens = 1000; l.want(script.Granted, l.acquire(a)) },
		"a minimum":    func() { a := short(1, script.Queue); a.MinHold = 400_000; l.want(script.Granted, l.acquire(a)) },
		"left together": func() {
			for n := range 3 {
				a := short(n, script.Queue)
				a.Mode = driver.Shared
				l.want(script.Granted, l.acquire(a))
			}
			l.want(script.Queued, l.acquire(short(4, script.Queue)))
			l.want(script.OK, l.renew(2, 350*time.Millisecond))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l.t = t
			began := time.Now()
			use()
			if n := l.wire.must(t, "DBSIZE"); n == int64(0) {
				t.Fatal("it left nothing even at once")
			}
			l.present()
			for l.wire.must(t, "DBSIZE") != int64(0) {
				if time.Since(began) > 5*time.Second {
					t.Fatalf("%v are still there", l.wire.must(t, "KEYS", "*"))
				}
				<-time.After(20 * time.Millisecond)
			}
			t.Logf("all is gone after %v", time.Since(began))
		})
	}
}
