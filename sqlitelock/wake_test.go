//go:build unix

package sqlitelock

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/driver/locktest"
)

func TestMessages(t *testing.T) {
	ids := []driver.LeaseID{driver.NewLeaseID(), driver.NewLeaseID()}
	for _, kind := range []messageKind{lookAgain, withdrawn} {
		got, gotIDs := decodeMessage(encodeMessage(kind, ids))
		if got != kind || !reflect.DeepEqual(gotIDs, ids) {
			t.Errorf("message %c: %c %v", kind, got, gotIDs)
		}
	}
	for _, strange := range []string{"", "L", "W", "Lshort", "X" + strings.Repeat("i", 16), "W" + strings.Repeat("i", 17)} {
		if kind, ids := decodeMessage([]byte(strange)); kind != lookAgain || ids != nil {
			t.Errorf("message %q: %c %v, want a hint to look at everything", strange, kind, ids)
		}
	}
	if most := len(encodeMessage(lookAgain, make([]driver.LeaseID, maxIDs))); most > 2048 {
		t.Errorf("a message may have %d bytes", most)
	}
}

// TestAddresses: what another process wrote into the file never becomes a path.
func TestAddresses(t *testing.T) {
	for _, addr := range []string{"", ".", "../../etc/passwd", strings.Repeat("a", addrLen+1), strings.Repeat("A", addrLen), "/" + strings.Repeat("a", addrLen-1)} {
		if goodAddr(addr) {
			t.Errorf("%q is taken for an address", addr)
		}
	}
	if !goodAddr(strings.Repeat("0f", addrLen/2)) {
		t.Error("an address is refused")
	}
}

// TestLostMessages: without a single message a waiter still hears of a grant
// by its look at the file, and of a lease that runs out at its time.
func TestLostMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	d, other := openAt(t, path, nil), openAt(t, path, nil)
	held := mustAcquire(t, d, "k")
	waiting := startAcquire(t, other, request("k"))
	untilWaiting(t, d, "k", 1)
	// A socket that never reads in place of the waiter's own.
	other.post.mu.Lock()
	addr := other.post.addr
	if err := os.Remove(filepath.Join(other.post.dir, addr)); err != nil {
		t.Fatal(err)
	}
	deaf, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(other.post.dir, addr), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	other.post.mu.Unlock()
	released := time.Now()
	mustRelease(t, d, held)
	next := waiting.granted(t)
	took := waiting.at.Sub(released)
	t.Logf("heard after %v", took)
	if took > 3*time.Second {
		t.Errorf("heard of the grant after %v, want a second", took)
	}
	mustRelease(t, other, next)
}

// TestSocketRemoved: somebody has cleaned up the sockets. Waiters notice, and
// are neither lost nor passed over for ever.
func TestSocketRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	d, other := openAt(t, path, nil), openAt(t, path, nil)
	held := mustAcquire(t, d, "k")
	waiting := startAcquire(t, other, request("k"))
	untilWaiting(t, d, "k", 1)
	if err := os.RemoveAll(path + ".wake"); err != nil {
		t.Fatal(err)
	}
	mustRelease(t, d, held) // It finds the waiter dead.
	mustRelease(t, other, waiting.granted(t))
	if len(socketsOf(t, path)) == 0 {
		t.Error("there is no new socket")
	}
}

// TestWithoutSockets: where no socket can be made, waiters look at the file.
func TestWithoutSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	if err := os.WriteFile(path+".wake", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, other := openAt(t, path, nil), openAt(t, path, nil)
	held := mustAcquire(t, d, "k")
	waiting := startAcquire(t, other, request("k"))
	untilWaiting(t, d, "k", 1)
	if addr := other.post.current(); addr != "" {
		t.Fatalf("there is a socket: %s", addr)
	}
	mustRelease(t, d, held)
	mustRelease(t, other, waiting.granted(t))
}

// TestDueIsKept: the first in line acts when the holder's lease runs out, not
// at its next look at the file, though the holder has renewed in between.
func TestDueIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	// A look that never comes.
	timing := timing{}.orDefault()
	timing.look, timing.refresh, timing.waiterTTL = time.Hour, time.Hour, 3*time.Hour
	d, other := openAt(t, path, nil), openAt(t, path, &Options{timing: timing})
	req := request("k")
	req.TTL = 200 * time.Millisecond
	grant, err := d.Acquire(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	waiting := startAcquire(t, other, request("k"))
	untilWaiting(t, d, "k", 1)
	if err := d.Renew(context.Background(), holdOf(&req, grant), 500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	renewed := time.Now()
	waiting.granted(t)
	if took := waiting.at.Sub(renewed); took < 500*time.Millisecond-20*time.Millisecond {
		t.Errorf("granted %v after a renewal for 500 ms", took)
	} else {
		t.Logf("granted %v after a renewal for 500 ms", took)
	}
}

// TestJoin: two calls of one attempt stand at one place, and both hear.
func TestJoin(t *testing.T) {
	locktest.CheckLeaks(t)
	path := filepath.Join(t.TempDir(), "locks.db")
	d, other := openAt(t, path, nil), openAt(t, path, nil)
	held := mustAcquire(t, other, "k")
	req := request("k")
	one, two := startAcquire(t, d, req), startAcquire(t, d, req)
	until(t, "both calls wait", func() bool {
		d.watchMu.Lock()
		defer d.watchMu.Unlock()
		return d.waits == 2
	})
	if s := state(t, d, "k"); len(s.Waiters) != 1 {
		t.Errorf("in line: %+v", s.Waiters)
	}
	// One of them leaves, and the attempt stays for the other.
	three := startAcquire(t, d, req)
	until(t, "the third call waits", func() bool {
		d.watchMu.Lock()
		defer d.watchMu.Unlock()
		return d.waits == 3
	})
	three.cancel()
	if _, err := three.result(t); err == nil {
		t.Error("the third call was granted after its end")
	}
	mustRelease(t, other, held)
	if a, b := one.granted(t), two.granted(t); a.Token != b.Token {
		t.Errorf("one attempt has the tokens %d and %d", a.Token, b.Token)
	}
	d.Close()
	other.Close()
}

// TestSweepSockets removes what dead processes left behind, once it is old.
func TestSweepSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	d := openAt(t, path, nil)
	mustAcquire(t, d, "k")
	old, young := strings.Repeat("0", addrLen), strings.Repeat("1", addrLen)
	for _, addr := range []string{old, young} {
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(d.post.dir, addr), Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	long := time.Now().Add(-time.Hour)
	for _, addr := range []string{old, d.post.current()} {
		if err := os.Chtimes(filepath.Join(d.post.dir, addr), long, long); err != nil {
			t.Fatal(err)
		}
	}
	d.post.sweep()
	if got := strings.Join(socketsOf(t, path), " "); !strings.Contains(got, young) || !strings.Contains(got, d.post.current()) || strings.Contains(got, old) {
		t.Errorf("after the sweep: %s", got)
	}
}

// TestManyWoken: one release grants a crowd of readers of several stores, more
// than a message or a socket's queue holds.
func TestManyWoken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	d := openAt(t, path, nil)
	stores := []*Driver{openAt(t, path, nil), openAt(t, path, nil)}
	held := mustAcquire(t, d, "k")
	var calls []*call
	for range 150 {
		for _, s := range stores {
			req := request("k")
			req.Mode = driver.Shared
			calls = append(calls, startAcquire(t, s, req))
		}
	}
	untilWaiting(t, d, "k", len(calls))
	released := time.Now()
	mustRelease(t, d, held)
	last := time.Duration(0)
	for _, c := range calls {
		c.granted(t)
		last = max(last, c.at.Sub(released))
	}
	t.Logf("%d readers were granted within %v", len(calls), last)
	if last > 900*time.Millisecond*raceFactor {
		t.Errorf("the last of %d readers heard after %v, not by a message", len(calls), last)
	}
}

// TestFromIsSafe: a grant never claims to be younger than it is.
func TestFromIsSafe(t *testing.T) {
	d := newStore(t, nil)
	read := driver.Instant(0)
	a := &acquisition{d: d, req: &driver.Request{Now: func() driver.Instant {
		read = driver.SystemClock()
		return read
	}}}
	granted := d.options.clock.now().Lease
	began := driver.SystemClock()
	lease := &lockqueue.Entry{TTL: 15_000_000, Expires: granted + 15_000_000, Token: 5}
	grant := a.grant(lease)
	if grant.From > began || began.Sub(grant.From) > time.Second {
		t.Errorf("From is %v after the lease began", grant.From.Sub(began))
	}
}
