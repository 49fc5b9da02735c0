package sqlitelock

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// sweepingStore is a store that sweeps with every command of another minute,
// on a clock that the test moves.
func sweepingStore(t *testing.T) (*Driver, *handClock) {
	t.Helper()
	clock := newHandClock("boot")
	return newStore(t, &Options{clock: clock, Retention: time.Hour}), clock
}

// sweepNow makes the next command sweep.
func sweepNow(t *testing.T, d *Driver, clock *handClock) {
	t.Helper()
	clock.advance(2 * time.Minute)
	_, err := d.do(context.Background(), &command{key: "sweep", step: func(*view, lockqueue.Now) (lockqueue.Result, error) {
		d.sweeper.next = time.Time{} // This runs in the writing goroutine.
		return lockqueue.Result{}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func countRows(t *testing.T, d *Driver, query string) (n int) {
	t.Helper()
	if err := d.db.reader.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSweepForgetsIdleKeys: a key that was idle for the retention is forgotten,
// one that is in use or was used a moment ago is not.
func TestSweepForgetsIdleKeys(t *testing.T) {
	d, clock := sweepingStore(t)
	mustRelease(t, d, mustAcquire(t, d, "old"))
	mustRelease(t, d, mustAcquire(t, d, "block"))
	// Blocks of tokens can run ahead of the clock.
	if _, err := rawOpen(t, d.path).Exec("UPDATE keys SET last_token = last_token + 2 * 3600 * 1000000 WHERE key = 'block'"); err != nil {
		t.Fatal(err)
	}
	long := request("used")
	long.TTL = driver.MaxTTL
	if _, err := d.Acquire(context.Background(), long); err != nil {
		t.Fatal(err)
	}
	clock.advance(50 * time.Minute)
	young := mustAcquire(t, d, "young")
	mustRelease(t, d, young)
	sweepNow(t, d, clock)
	if n := countRows(t, d, "SELECT count(*) FROM keys"); n != 4 {
		t.Errorf("%d records before the retention is over, want 4", n)
	}
	clock.advance(15 * time.Minute)
	sweepNow(t, d, clock)
	if n := countRows(t, d, "SELECT count(*) FROM keys WHERE key IN ('block', 'used', 'young')"); n != 3 {
		t.Errorf("%d records are left of the three that are in use, young, or ahead of the clock", n)
	}
	if n := countRows(t, d, "SELECT count(*) FROM keys WHERE key = 'old'"); n != 0 {
		t.Error("an idle key is not forgotten when the retention is over")
	}
	if again := mustAcquire(t, d, "young"); again.Token <= young.Token {
		t.Errorf("token %d after token %d", again.Token, young.Token)
	}
}

// TestSweepEndsWhatRanOut: leases that ran out go though nobody asks for their
// key, waiters that nobody asks after any more leave the middle of a line, and
// whoever is granted by it is told.
func TestSweepEndsWhatRanOut(t *testing.T) {
	d, clock := sweepingStore(t)
	for i := range 10 {
		mustAcquire(t, d, fmt.Sprintf("gone/%d", i))
	}
	holder := request("line")
	holder.TTL = driver.MaxTTL
	if _, err := d.Acquire(context.Background(), holder); err != nil {
		t.Fatal(err)
	}
	standInLine(t, d, "line", 3) // For an hour.
	attempt := lockqueue.NewAttempt(new(request("line")))
	attempt.WaiterTTL = 1_000_000
	if _, err := d.do(context.Background(), &command{
		key: "line", asked: attempt.ID, permits: 1,
		step: func(v *view, now lockqueue.Now) (lockqueue.Result, error) { return lockqueue.Acquire(v, now, &attempt) },
	}); err != nil {
		t.Fatal(err)
	}
	sweepNow(t, d, clock)
	if n := countRows(t, d, "SELECT count(*) FROM keys WHERE held > 0"); n != 1 {
		t.Errorf("%d keys are held after all leases but one have run out", n)
	}
	if n := countRows(t, d, "SELECT waiting FROM keys WHERE key = 'line'"); n != 3 {
		t.Errorf("%d stand in line, want the 3 that have time left", n)
	}
	if n := countRows(t, d, "SELECT count(*) FROM entries"); n != 3 {
		t.Errorf("%d entries are left, want 3", n)
	}
}

// TestSweepTellsTheGranted: a sweep by one store grants a waiter of another.
func TestSweepTellsTheGranted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	clock := newHandClock("boot")
	never := timing{}.orDefault()
	never.look, never.refresh, never.waiterTTL = time.Hour, time.Hour, 24*time.Hour
	d, other := openAt(t, path, &Options{clock: clock}), openAt(t, path, &Options{clock: clock, timing: never})
	mustAcquire(t, d, "k") // For a minute of that clock.
	waiting := startAcquire(t, other, request("k"))
	untilWaiting(t, d, "k", 1)
	sweepNow(t, d, clock)
	waiting.granted(t)
}

// TestSweepIsShared: stores take turns at the work, some keys at a time, and
// all of it gets done.
func TestSweepIsShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	clock := newHandClock("boot")
	d := openAt(t, path, &Options{clock: clock})
	const keys = 3*sweepKeys + 17
	for i := range keys {
		mustAcquire(t, d, fmt.Sprintf("k/%06d", i))
	}
	clock.advance(2 * time.Hour)
	rounds := 0
	for countRows(t, d, "SELECT count(*) FROM keys WHERE held > 0") > 0 {
		// Each is a short-lived process that runs one command.
		short := openAt(t, path, &Options{clock: clock})
		if err := short.Renew(context.Background(), driver.Hold{Key: "none", ID: driver.NewLeaseID()}, time.Second); err == nil {
			t.Fatal("a lease that never was is renewed")
		}
		if err := short.Close(); err != nil {
			t.Fatal(err)
		}
		if rounds++; rounds > 10 {
			t.Fatal("the work does not get done")
		}
	}
	if want := 4; rounds != want {
		t.Errorf("%d keys took %d sweeps, want %d", keys, rounds, want)
	}
}

// TestSweepErrorHurtsNobody: a row that is damaged does not fail the commands
// that happen to run when its turn to be swept comes.
func TestSweepErrorHurtsNobody(t *testing.T) {
	d, clock := sweepingStore(t)
	mustAcquire(t, d, "damaged")
	if _, err := rawOpen(t, d.path).Exec("UPDATE keys SET holder = x'00' WHERE key = 'damaged'"); err != nil {
		t.Fatal(err)
	}
	sweepNow(t, d, clock)
	mustAcquire(t, d, "sound")
}
