package redislock_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/redistest"
	"github.com/stilelock/stile/redislock/internal/script"
)

// In these tests one connection goes silent, as when a router has forgotten it,
// and new ones work.

// TestSilentConnectionOfAWaiter: a waiter whose context never ends finds it out
// in time to keep its place in line.
func TestSilentConnectionOfAWaiter(t *testing.T) {
	t.Parallel()
	const inTime = 14 * time.Second // The server keeps a place for 15 s.
	s := redistest.Start(t)
	others := openLocks(t, s.URL("prefix="+prefix))
	held := acquire(t, others, "k", &stile.Options{TTL: long})
	d, network := breakable(t, s)
	w := stand(t, locksOver(t, d), "k", &stile.Options{TTL: long})
	behind := stand(t, others, "k", &stile.Options{TTL: long})
	rule := network.HoldCommand(script.Acquire.SHA1)
	defer rule.Free()
	await(t, "the waiter has asked again", rule.Hit)
	silent := time.Now()
	again := network.Note(script.Acquire.SHA1)
	await(t, "the waiter has asked by another connection", again.Hit)
	if took := time.Since(silent); took > inTime {
		t.Fatalf("the waiter has asked after %v; its place was kept for less", took)
	}
	release(t, held)
	lease := w.granted(t)
	behind.waits(t)
	release(t, lease)
	release(t, behind.granted(t))
}

// TestSilentConnectionOfAHolder: a renewal by another connection saves the lease,
// also a short one.
func TestSilentConnectionOfAHolder(t *testing.T) {
	t.Parallel()
	for _, ttl := range []time.Duration{time.Second, 5 * time.Second} {
		t.Run(ttl.String(), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			redistest.Hurry(t, ttl, func(ttl time.Duration) error {
				d, network := breakable(t, s)
				lease, err := locksOver(t, d).Acquire(within(t, slack), "k", &stile.Options{TTL: ttl})
				if err != nil {
					return err
				}
				rule := network.HoldCommand(script.Renew.SHA1)
				defer rule.Free()
				await(t, "a renewal is held up", rule.Hit)
				select {
				case <-lease.Done():
					return lease.Err()
				case <-time.After(ttl):
				}
				return letGo(t, lease)
			})
		})
	}
}

// TestCancelIsHeard: a context that is cancelled ends its call at once, though it
// has a deadline too and the server says nothing.
func TestCancelIsHeard(t *testing.T) {
	t.Parallel()
	const atOnce = 2 * time.Second
	s := redistest.Start(t)
	d := openDriver(t, s.URL("prefix="+prefix))
	freeze(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	time.AfterFunc(glance, cancel)
	begun := time.Now()
	_, err := d.Acquire(ctx, request("k", long))
	took := time.Since(begun)
	check(t, "thaw", s.Thaw())
	wantErr(t, "an acquire that was cancelled", err, context.Canceled)
	wantErr(t, "an acquire that was cancelled", err, driver.ErrAmbiguous)
	if took > atOnce {
		t.Errorf("the call has ended %v after it began", took)
	}
}

// TestFailoverUnderACommand: what was sent to a primary that is frozen, and is
// given up when the Sentinels name another, has an outcome that nobody knows.
func TestFailoverUnderACommand(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t, &redistest.SentinelOptions{Watchers: 3, DownAfter: time.Second})
	d := openDriver(t, s.URL("prefix="+prefix))
	primary, err := s.Primary()
	check(t, "find the primary", err)
	freeze(t, primary)
	_, err = d.Acquire(within(t, slack), request("k", long))
	wantErr(t, "an acquire under way", err, driver.ErrAmbiguous)
	if strings.Contains(err.Error(), "deadline") {
		t.Fatalf("the failover has not ended the acquire: %v", err)
	}
}
