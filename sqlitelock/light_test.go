package sqlitelock

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// sendLight sends an attempt as a refresh does.
func sendLight(t *testing.T, d *Driver, req *driver.Request) lockqueue.Result {
	t.Helper()
	attempt := lockqueue.NewAttempt(req)
	attempt.WaiterTTL = d.waiterTTL
	a := &acquisition{d: d, req: req, attempt: attempt}
	result, _, err := a.send(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// wantSync checks how the last transaction was committed, and how many were
// light so far.
func wantSync(t *testing.T, d *Driver, what string, full bool, lights int64) {
	t.Helper()
	var level int
	if err := d.db.conn.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&level); err != nil {
		t.Fatal(err)
	}
	const normal, fully = 1, 2
	want := normal
	if full {
		want = fully
	}
	if level != want || d.lights.Load() != lights {
		t.Errorf("%s: synchronous is %d and %d transactions were light, want %d and %d", what, level, d.lights.Load(), want, lights)
	}
}

// TestOnlyRefreshesAreLight: a commit goes without the disk only if all it did
// was to keep a place in line.
func TestOnlyRefreshesAreLight(t *testing.T) {
	d := newStore(t, nil)
	held := mustAcquire(t, d, "k")
	wantSync(t, d, "a grant", true, 0)
	req := request("k")
	if r := sendLight(t, d, &req); r.Status != lockqueue.Queued {
		t.Fatalf("a light attempt at a key that is held: status %v", r.Status)
	}
	wantSync(t, d, "a refresh", false, 1)
	if err := d.Renew(t.Context(), held, time.Minute); err != nil {
		t.Fatal(err)
	}
	wantSync(t, d, "a renewal after a refresh", true, 1)
	sendLight(t, d, &req)
	wantSync(t, d, "another refresh", false, 2)
	mustRelease(t, d, held)
	wantSync(t, d, "a release that grants", true, 2)
}

// TestLightGrantIsSynced: what is sent as a refresh, and grants, is on disk
// like every grant: the sender's own, and that of another.
func TestLightGrantIsSynced(t *testing.T) {
	clock := newHandClock("boot")
	d := newStore(t, &Options{clock: clock})
	own := request("own")
	mustAcquire(t, d, "other")
	clock.advance(time.Millisecond)
	if r := sendLight(t, d, &own); r.Status != lockqueue.Granted {
		t.Fatalf("a light attempt at a free key: status %v", r.Status)
	}
	wantSync(t, d, "an own grant", true, 0)

	held := mustAcquire(t, d, "k")
	first, second := request("k"), request("k")
	sendLight(t, d, &first)
	sendLight(t, d, &second)
	wantSync(t, d, "two in line", false, 2)
	clock.advance(d.options.timing.waiterTTL / 2)
	sendLight(t, d, &first)
	wantSync(t, d, "a refresh of the first", false, 3)
	if err := d.Renew(t.Context(), held, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	clock.advance(2 * time.Millisecond)
	r := sendLight(t, d, &second)
	if r.Status != lockqueue.Queued || len(r.Woken) != 1 || r.Woken[0].ID != first.ID {
		t.Fatalf("a refresh when the lease has run out: %+v, want the first to be granted", r)
	}
	wantSync(t, d, "a grant to another", true, 3)
	if s := state(t, d, "k"); len(s.Holders) != 1 || s.Holders[0].ID != first.ID || len(s.Waiters) != 1 {
		t.Errorf("it ran twice: %+v", s)
	}
}

// TestMixedIsSynced: a refresh that shares its transaction with another command
// waits for the disk with it.
func TestMixedIsSynced(t *testing.T) {
	d := newStore(t, nil)
	held := mustAcquire(t, d, "k")
	req := request("k")
	sendLight(t, d, &req)
	wantSync(t, d, "a refresh alone", false, 1)
	unlock := lockFile(t, d.path)
	sent := d.arrived.Load()
	done := make(chan error, 1)
	attempt := lockqueue.NewAttempt(&req)
	attempt.WaiterTTL = d.waiterTTL
	a := &acquisition{d: d, req: &req, attempt: attempt}
	go func() {
		_, _, err := a.send(t.Context(), true)
		done <- err
	}()
	until(t, "the refresh waits for its turn", func() bool { return d.arrived.Load() == sent+1 })
	renewed := make(chan error, 1)
	go func() { renewed <- d.Renew(t.Context(), held, time.Minute) }()
	until(t, "the renewal joins it", func() bool { return d.arrived.Load() == sent+2 })
	unlock()
	if err := errors.Join(<-done, <-renewed); err != nil {
		t.Fatal(err)
	}
	wantSync(t, d, "a refresh with a renewal", true, 1)
}

// TestLightIsSeen: other stores see a light commit at once.
func TestLightIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	clock := newHandClock("boot")
	d, other := openAt(t, path, &Options{clock: clock}), openAt(t, path, &Options{clock: clock})
	mustAcquire(t, d, "k")
	req := request("k")
	sendLight(t, other, &req)
	clock.advance(other.options.timing.waiterTTL - time.Millisecond)
	sendLight(t, other, &req)
	clock.advance(2 * time.Millisecond) // Beyond the first, not the second.
	if s := state(t, d, "k"); len(s.Waiters) != 1 {
		t.Errorf("in line: %+v, want the one that was refreshed", s.Waiters)
	}
}

// TestGlance: one statement tells what many did.
func TestGlance(t *testing.T) {
	d := newStore(t, nil)
	absent := driver.NewLeaseID()
	if g, err := d.glance("none", absent); err != nil || g.waits || g.lease != nil || g.hasDue {
		t.Errorf("a key that never was: %+v, %v", g, err)
	}
	for _, shared := range []bool{false, true} {
		key, holder := "sole", request("sole")
		if shared {
			key, holder = "crowd", request("crowd")
			holder.Mode = driver.Shared
		}
		holder.NoWait = true
		if _, err := d.Acquire(t.Context(), holder); err != nil {
			t.Fatal(err)
		}
		if g, err := d.glance(key, holder.ID); err != nil || g.waits || g.lease == nil || g.lease.ID != holder.ID || g.hasDue {
			t.Errorf("%s: its holder: %+v, %v", key, g, err)
		}
		first, second := request(key), request(key)
		place := sendLight(t, d, &first)
		sendLight(t, d, &second)
		for _, id := range []driver.LeaseID{first.ID, second.ID} {
			g, err := d.glance(key, id)
			if err != nil || !g.waits || g.lease != nil || g.first != first.ID || !g.hasDue || g.due != place.Due {
				t.Errorf("%s: a waiter: %+v, %v, want the first %v and due %v", key, g, err, first.ID, place.Due)
			}
		}
		if g, err := d.glance(key, absent); err != nil || g.waits || g.lease != nil || g.first != first.ID {
			t.Errorf("%s: a stranger: %+v, %v", key, g, err)
		}
	}
	mustAcquire(t, d, "damaged")
	if _, err := rawOpen(t, d.path).Exec("UPDATE keys SET holder = x'00' WHERE key = 'damaged'"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.glance("damaged", absent); !errors.Is(err, errDamaged) {
		t.Errorf("a damaged row: %v", err)
	}
}
