package tests

import (
	"testing"
	"time"

	"github.com/stilelock/stile/redislock/internal/script"
)

// TestLateCopyIsNoNewAttempt: once an attempt is withdrawn, an acquire of it
// that the network delivers late is lost, whatever has happened to the key.
func TestLateCopyIsNoNewAttempt(t *testing.T) {
	_, l := startLock(t)
	for name, late := range map[string]func(){
		"the key is free":     func() { l.release(1, script.TombIfWithdrawn) },
		"the key is held":     func() {},
		"the state was taken": func() { l.wire.must(t, "DEL", l.names[script.State]) },
		"all else was taken": func() {
			l.wire.must(t, "DEL", l.names[script.State], l.names[script.Lock], l.names[script.Line], l.names[script.Entries])
		},
		"somebody came and went": func() {
			l.release(1, script.TombIfWithdrawn)
			l.want(script.Granted, l.acquire(attempt(5, script.Queue, "")))
			l.want(script.OK, l.release(5, script.TombIfWithdrawn))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l.wire.must(t, "FLUSHALL")
			l.stop()
			l.want(script.Granted, l.acquire(attempt(1, script.Queue, "")))
			l.want(script.Queued, l.acquire(attempt(2, script.Queue, "")))
			l.want(script.OK, l.release(2, script.TombIfWithdrawn)) // It withdraws a waiter.
			l.want(script.Lost, l.release(3, script.TombAlways))    // Its acquire has not come yet.
			l.want(script.Lost, l.release(4, script.TombIfWithdrawn))
			late()
			l.pass(59 * time.Second)
			for _, n := range []int{2, 3} {
				for _, how := range []script.How{script.Queue, script.Probe, script.Try} {
					l.want(script.Lost, l.acquire(attempt(n, how, "")))
				}
			}
			if len(l.inspect().Waiters) != 0 {
				t.Error("a late copy stands in line")
			}
			if got := l.acquire(attempt(4, script.Queue, "")); got.Status == script.Lost {
				t.Error("an attempt that was not withdrawn is lost")
			}
			l.pass(time.Minute)
			if got := l.acquire(attempt(2, script.Queue, "")); got.Status == script.Lost {
				t.Error("it is still lost after a minute")
			}
			l.present()
		})
	}
}

// TestHolderReleasesWithATombstone: a release that may have overtaken its own
// acquire ends the lease too.
func TestHolderReleasesWithATombstone(t *testing.T) {
	_, l := startLock(t)
	l.want(script.Granted, l.acquire(attempt(1, script.Queue, "")))
	l.want(script.OK, l.release(1, script.TombAlways))
	l.want(script.Lost, l.acquire(attempt(1, script.Queue, "")))
	l.want(script.Lost, l.release(1, script.TombAlways))
	l.want(script.Granted, l.acquire(attempt(2, script.Queue, "")))
	l.want(script.OK, l.release(2, script.TombIfWithdrawn))
	if there := l.present(); !there[script.Gone] || there[script.Lock] {
		t.Errorf("there are %v", there)
	}
}
