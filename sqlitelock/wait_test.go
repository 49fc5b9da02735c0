package sqlitelock

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

// TestRefreshKeepsThePlace: a waiter outlives its waiter lease many times over
// as long as it can be refreshed, and a file that is locked for a moment.
func TestRefreshKeepsThePlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	quick := timing{}.orDefault()
	quick.refresh, quick.waiterTTL = 30*time.Millisecond, 2*time.Second
	d := openAt(t, path, nil)
	other := openAt(t, path, &Options{timing: quick, BusyTimeout: 20 * time.Millisecond})
	held := mustAcquire(t, d, "k")
	waiting := startAcquire(t, other, request("k"))
	untilWaiting(t, d, "k", 1)
	place := state(t, d, "k").Waiters[0]
	refreshed := other.arrived.Load()
	until(t, "the waiter refreshes its place", func() bool { return other.arrived.Load() > refreshed+3 })
	unlock := lockFile(t, path)
	refreshed = other.arrived.Load()
	until(t, "a refresh fails and is tried again", func() bool { return other.arrived.Load() > refreshed+1 })
	unlock()
	if now := state(t, d, "k").Waiters; len(now) != 1 || now[0] != place {
		t.Errorf("in line: %+v, want %+v", now, place)
	}
	mustRelease(t, d, held)
	waiting.granted(t)
}

// TestPlaceIsLost: a waiter that cannot be refreshed until its place has run
// out says so, and that it may still be in line.
func TestPlaceIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	quick := timing{}.orDefault()
	quick.refresh, quick.waiterTTL = 30*time.Millisecond, 200*time.Millisecond
	d := openAt(t, path, nil)
	other := openAt(t, path, &Options{timing: quick, BusyTimeout: 50 * time.Millisecond})
	mustAcquire(t, d, "k")
	waiting := startAcquire(t, other, request("k"))
	untilWaiting(t, d, "k", 1)
	unlock := lockFile(t, path)
	defer unlock()
	if _, err := waiting.result(t); !errors.Is(err, driver.ErrAmbiguous) || !strings.Contains(err.Error(), "is locked") {
		t.Errorf("Acquire: %v, want an ErrAmbiguous that says that the file is locked", err)
	}
}

// TestWithdrawnElsewhere: whoever waits for an attempt hears when another store
// takes it out of line.
func TestWithdrawnElsewhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	d, other := openAt(t, path, nil), openAt(t, path, nil)
	mustAcquire(t, d, "k")
	waiting := startAcquire(t, other, request("k"))
	untilWaiting(t, d, "k", 1)
	mustRelease(t, d, driver.Hold{Key: "k", ID: waiting.req.ID})
	if _, err := waiting.result(t); !errors.Is(err, driver.ErrLost) {
		t.Errorf("Acquire of an attempt that was withdrawn: %v, want lost", err)
	}
	if s := state(t, d, "k"); len(s.Waiters) != 0 {
		t.Errorf("in line: %+v", s.Waiters)
	}
}

// TestAmbiguousError: it is both kinds of error, and says each thing once.
func TestAmbiguousError(t *testing.T) {
	err := ambiguous("/x/locks.db", errDamaged)
	if !errors.Is(err, driver.ErrAmbiguous) || !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("%v matches too little", err)
	}
	if strings.Count(err.Error(), "/x/locks.db") != 1 || strings.Contains(err.Error(), "\n") {
		t.Errorf("%q", err)
	}
}

func TestCapabilities(t *testing.T) {
	d := newStore(t, nil)
	if caps := d.Capabilities(); len(caps.Lacks) != 0 || caps.MinTTL != 0 || caps.MaxTTL != 0 {
		t.Errorf("the store lacks %+v", caps)
	}
}
