package tests

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zkproxy"
)

// short is a TTL that a test can wait for. Those tests run alone: a busy machine
// can keep a server from answering for seconds.
const short = 4 * time.Second

// TestSilentHandshake: servers that take a connection and never answer its
// handshake cost a bounded time: other servers are tried, and a lease is not
// believed in for longer than its TTL.
func TestSilentHandshake(t *testing.T) { onBoth(t, silentHandshake) }

func silentHandshake(t *testing.T, servers []string) {
	t.Helper()
	path := root()
	d, network := breakable(t, servers, path)
	network.MuteHandshakes()
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	begun := time.Now()
	_, err := d.Acquire(ctx, driver.Request{Key: key, ID: driver.NewLeaseID(), Limit: 1, TTL: long, Tokens: 1, Now: driver.SystemClock})
	if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > 2*short {
		t.Errorf("an acquire with a limit of %v took %v: %v", short, took, err)
	}
	network.Heal()
	ours := begin(t, d, short).granted()
	network.MuteHandshakes()
	tries := network.Note(zkproxy.Handshake, 2) // One was given up, in less than the TTL.
	network.Drop()
	select {
	case <-tries.Hit:
	case <-time.After(short):
		t.Errorf("one handshake was waited for longer than %v", short)
	}
	network.Heal()
	if err := d.Renew(t.Context(), ours.hold(), short); err != nil {
		t.Errorf("healed in time: %v", err)
	}
	ours.release()
	wantNothing(t, servers, path)
}

// TestDisconnectedForLessThanTheSession: the lease is there afterwards, the same.
func TestDisconnectedForLessThanTheSession(t *testing.T) {
	onBoth(t, disconnectedForLessThanTheSession)
}

func disconnectedForLessThanTheSession(t *testing.T, servers []string) {
	t.Helper()
	path := root()
	d, network := breakable(t, servers, path)
	ours := begin(t, d, short).granted()
	network.Cut()
	<-time.After(short / 4)
	network.Heal()
	sent := time.Now()
	if err := d.Renew(t.Context(), ours.hold(), short); err != nil {
		t.Fatalf("the lease has not survived: %v", err)
	}
	next := begin(t, openDriver(t, servers, path), long)
	next.waits()
	if err := d.Close(); err != nil { // It does not release.
		t.Fatal(err)
	}
	if next.granted(); next.at.Sub(sent) < short {
		t.Errorf("the next one was granted %v after a renewal for %v", next.at.Sub(sent), short)
	}
	next.release()
}

// TestDisconnectedForLongerThanTheSession: a renewal says that the lease is lost, at
// the latest when its TTL is over, and does not wait for a server that says
// nothing; the next one is granted, and not before that.
func TestDisconnectedForLongerThanTheSession(t *testing.T) {
	onBoth(t, disconnectedForLongerThanTheSession)
}

func disconnectedForLongerThanTheSession(t *testing.T, servers []string) {
	t.Helper()
	path := root()
	d, network := breakable(t, servers, path)
	ours := begin(t, d, short).granted()
	next := begin(t, openDriver(t, servers, path), long)
	next.waits()
	sent := time.Now()
	if err := d.Renew(t.Context(), ours.hold(), short); err != nil {
		t.Fatal(err)
	}
	network.BlackHole()
	ctx, cancel := context.WithTimeout(t.Context(), slack)
	defer cancel()
	err := d.Renew(ctx, ours.hold(), short)
	if took := time.Since(sent); !errors.Is(err, driver.ErrLost) || took > short+3*time.Second {
		t.Errorf("%v after the last renewal for %v: %v", took, short, err)
	}
	if next.granted(); next.at.Sub(sent) < short {
		t.Errorf("the next one was granted %v after a renewal for %v", next.at.Sub(sent), short)
	}
	network.Heal()
	if err := d.Release(t.Context(), ours.hold()); !errors.Is(err, driver.ErrLost) {
		t.Errorf("release of a lost lease: %v", err)
	}
	next.release()
	wantNothing(t, servers, path)
}
