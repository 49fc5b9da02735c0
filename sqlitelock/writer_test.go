package sqlitelock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// lockFile keeps everybody from writing until the returned function is called.
func lockFile(t *testing.T, path string) (unlock func()) {
	t.Helper()
	db := rawOpen(t, path)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := db.Exec("ROLLBACK"); err != nil {
			t.Error(err)
		}
	}
}

// TestGroupCommit: what arrives while the process waits for its turn is
// written in one transaction, and a refusal in it hurts nobody else.
func TestGroupCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	d := openAt(t, path, nil)
	taken := mustAcquire(t, d, "taken")
	version := dataVersion(t, rawOpen(t, path))
	before := version()
	unlock := lockFile(t, path)
	var calls []*call
	const n = 100
	for i := range n {
		req := request(fmt.Sprintf("k/%d", i))
		if i%10 == 0 {
			req.Key = taken.Key
		}
		req.NoWait = true
		calls = append(calls, startAcquire(t, d, req))
	}
	d.untilQueued(t, n+1)
	unlock()
	for i, c := range calls {
		_, err := c.result(t)
		if busy := i%10 == 0; busy != errors.Is(err, driver.ErrBusy) || !busy && err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if commits := version() - before; commits != 1 {
		t.Errorf("%d calls that arrived together took %d commits, want 1", n, commits)
	}
}

// untilQueued waits until n commands wait for the turn to write.
func (d *Driver) untilQueued(t *testing.T, n int) {
	t.Helper()
	until(t, "commands arrive", func() bool { return int(d.arrived.Load()) >= n })
}

// dataVersion counts the commits of others.
func dataVersion(t *testing.T, db *sql.DB) func() int {
	return func() (n int) {
		t.Helper()
		if err := db.QueryRow("PRAGMA data_version").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// TestBusyTimeout: a file that stays locked is an error for those who have
// waited long enough, and those whose context ends leave at once.
func TestBusyTimeout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	d := openAt(t, path, &Options{BusyTimeout: 300 * time.Millisecond})
	unlock := lockFile(t, path)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	req := request("k")
	_, err := d.Acquire(ctx, req)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrAmbiguous) || time.Since(start) > 250*time.Millisecond {
		t.Errorf("a context that ended: %v after %v", err, time.Since(start))
	}
	start = time.Now()
	_, err = d.Acquire(context.Background(), request("k"))
	wantUnavailable(t, "a locked file", err, "is locked")
	if took := time.Since(start); took < 250*time.Millisecond || took > patience {
		t.Errorf("it took %v to give up, want 300 ms", took)
	}
	unlock()
	// Nothing of it has come to anything, and the store works.
	if s := state(t, d, "k"); len(s.Holders)+len(s.Waiters) > 0 {
		t.Errorf("commands without an effect have left %+v", s)
	}
	mustAcquire(t, d, "k")
}

// TestLateCommandHasItsOwnBusyTimeout: a command that joins others who have
// waited for a while does not give up together with them.
func TestLateCommandHasItsOwnBusyTimeout(t *testing.T) {
	const limit = 300 * time.Millisecond
	path := filepath.Join(t.TempDir(), "locks.db")
	d := openAt(t, path, &Options{BusyTimeout: limit})
	defer lockFile(t, path)()
	early := startAcquire(t, d, request("early"))
	d.untilQueued(t, 1)
	<-time.After(limit * 2 / 3)
	start := time.Now()
	_, err := d.Acquire(context.Background(), request("late"))
	wantUnavailable(t, "the late one", err, "is locked")
	if took := time.Since(start); took < limit {
		t.Errorf("it gave up after %v, want %v", took, limit)
	}
	_, err = early.result(t)
	wantUnavailable(t, "the early one", err, "is locked")
}

// TestAbandonedCommandHurtsNobody: that the first of a batch gives up says
// nothing about those behind it.
func TestAbandonedCommandHurtsNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	d := openAt(t, path, nil)
	unlock := lockFile(t, path)
	first := startAcquire(t, d, request("first"))
	d.untilQueued(t, 1)
	second := startAcquire(t, d, request("second"))
	d.untilQueued(t, 2)
	first.cancel()
	if _, err := first.result(t); !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v", err)
	}
	unlock()
	second.granted(t)
	if s := state(t, d, "first"); len(s.Holders) > 0 {
		t.Error("an abandoned command had an effect")
	}
}

// TestStoreErrorFailsTheBatch: an error of the store is everybody's, nothing of
// the batch is kept, and the next one works.
func TestStoreErrorFailsTheBatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	d := openAt(t, path, nil)
	unlock := lockFile(t, path)
	good := startAcquire(t, d, request("good"))
	d.untilQueued(t, 1)
	bad := make(chan error, 1)
	go func() {
		_, err := d.do(context.Background(), &command{key: "bad", step: func(*view, lockqueue.Now) (lockqueue.Result, error) {
			return lockqueue.Result{}, errors.New("the disk is on fire")
		}})
		bad <- err
	}()
	d.untilQueued(t, 2)
	unlock()
	_, err := good.result(t)
	for _, err := range []error{err, <-bad} {
		wantUnavailable(t, "a batch with an error in it", err, "on fire")
	}
	if s := state(t, d, "good"); len(s.Holders) > 0 {
		t.Error("something of the batch was kept")
	}
	mustAcquire(t, d, "good")
}

// TestReplacedFile: a file that was removed or replaced is another store. Its
// leases are lost at once, not when they run out.
func TestReplacedFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	path := filepath.Join(dir, "locks.db")
	d := openAt(t, path, nil)
	held := mustAcquire(t, d, "k")
	waiting := startAcquire(t, d, request("k"))
	untilWaiting(t, d, "k", 1)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	until(t, "the holder is not listed any more", func() bool { return len(state(t, d, "k").Holders) == 0 })
	until(t, "the holder learns that the file is gone", func() bool {
		return errors.Is(d.Renew(context.Background(), held, time.Minute), driver.ErrLost)
	})
	other := openAt(t, path, nil)
	next := waiting.granted(t) // It asks again, in the new file.
	if next.Token <= held.Token {
		t.Errorf("token %d in the new file, %d in the old one", next.Token, held.Token)
	}
	if s := state(t, other, "k"); len(s.Holders) != 1 || s.Holders[0].ID != next.ID {
		t.Errorf("in the new file: %+v", s)
	}
}

// TestCancelRacesGrant ends contexts while grants are on their way. Whatever
// the outcome of each call, nothing is left over.
func TestCancelRacesGrant(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	d, other := openAt(t, path, nil), openAt(t, path, nil)
	granted := 0
	for i := range 60 {
		held := mustAcquire(t, other, "k")
		req := request("k")
		req.MinHold = time.Minute // It must not outlive a call that returns an error.
		c := startAcquire(t, d, req)
		untilWaiting(t, other, "k", 1)
		go func() {
			<-time.After(time.Duration(i) * 10 * time.Microsecond)
			c.cancel()
		}()
		mustRelease(t, other, held)
		switch grant, err := c.result(t); {
		case err == nil:
			granted++
			if err := d.Break(context.Background(), "k", req.ID, driver.BreakNow); err != nil {
				t.Fatalf("end a lease with token %d: %v", grant.Token, err)
			}
		case !errors.Is(err, context.Canceled) || errors.Is(err, driver.ErrAmbiguous):
			t.Fatalf("Acquire: %v", err)
		}
		if s := state(t, other, "k"); len(s.Holders)+len(s.Waiters) > 0 {
			t.Fatalf("left over: %+v", s)
		}
	}
	t.Logf("%d of 60 calls were granted, the others cancelled", granted)
}
