package stile_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stilelock/stile"
)

func TestAttachTakesALeaseOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl, Owner: "first"})
		handle := lease.Handle()
		w.net.set(refused, nil) // The first process is gone.
		<-time.After(ttl / 2)
		taken, err := w.others.Attach(t.Context(), handle)
		if err != nil {
			t.Fatal(err)
		}
		if taken.ID() != lease.ID() || taken.Token() != lease.Token() || taken.Key() != "k" || taken.Owner() != "first" {
			t.Errorf("took over %v of %q with token %d, owner %q", taken.ID(), taken.Key(), taken.Token(), taken.Owner())
		}
		<-time.After(10 * ttl)
		if err := taken.Err(); err != nil {
			t.Errorf("the lease that was taken over: %v", err)
		}
		if err := taken.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAttachKeepsTheMaximumHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		start := time.Now()
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl, MaxHold: time.Minute})
		<-time.After(30 * time.Second)
		taken, err := w.others.Attach(t.Context(), lease.Handle())
		if err != nil {
			t.Fatal(err)
		}
		<-taken.Done()
		if got := time.Since(start); got > time.Minute {
			t.Errorf("held for %v, at most 1m was asked for", got)
		}
	})
}

func TestAttachOfALostLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", nil)
		handle := lease.Handle()
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.others.Attach(t.Context(), handle); !errors.Is(err, stile.ErrLost) {
			t.Errorf("attach: %v, want lost", err)
		}
	})
}

func TestAttachRefusesWhatIsNoHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", nil)
		handle := lease.Handle()
		for _, text := range []string{"", "stile1.", "stile1.e30", "stile9." + handle, handle[:len(handle)/2], "stile1.????"} {
			_, err := w.mine.Attach(t.Context(), text)
			if !errors.Is(err, stile.ErrInvalid) {
				t.Errorf("attach %q: %v, want invalid", text, err)
			}
			if len(text) > 20 && strings.Contains(err.Error(), text) {
				t.Errorf("the error repeats the handle: %v", err)
			}
		}
		_ = lease.Release(t.Context())
	})
}
