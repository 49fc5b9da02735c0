package stile_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
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

// forge changes a field of a handle.
func forge(t *testing.T, text, field string, value any) string {
	t.Helper()
	const prefix = "stile1."
	decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, prefix))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(decoded, &fields); err != nil {
		t.Fatal(err)
	}
	fields[field] = value
	decoded, err = json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return prefix + base64.RawURLEncoding.EncodeToString(decoded)
}

func TestAttachRefusesAForgedHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
		for name, text := range map[string]string{
			"token 0":               forge(t, lease.Handle(), "token", "0"),
			"negative maximum hold": forge(t, lease.Handle(), "maxHoldLeft", -1),
			"endless TTL":           forge(t, lease.Handle(), "ttl", 1<<62),
			"no TTL":                forge(t, lease.Handle(), "ttl", 0),
			"no limit":              forge(t, lease.Handle(), "limit", 0),
			"no id":                 forge(t, lease.Handle(), "id", strings.Repeat("0", 32)),
			"bad key":               forge(t, lease.Handle(), "key", "a\nb"),
		} {
			if _, err := w.others.Attach(t.Context(), text); !errors.Is(err, stile.ErrInvalid) {
				t.Errorf("%s: %v, want invalid", name, err)
			}
		}
		if err := lease.Err(); err != nil {
			t.Error(err)
		}
		_ = lease.Release(t.Context())
	})
}

func TestAttachWhoseAnswerIsLateReturnsNoDeadLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease, err := w.others.Acquire(t.Context(), "k", &stile.Options{TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		w.net.set(nil, only("renew", 1, func(context.Context, string) error {
			<-time.After(2 * ttl)
			return nil
		}))
		if _, err := w.mine.Attach(t.Context(), lease.Handle()); !errors.Is(err, stile.ErrLost) {
			t.Errorf("attach: %v, want lost", err)
		}
		if n := w.events.count(stile.EventAcquired); n != 0 {
			t.Error("acquired was told")
		}
		_ = lease.Release(t.Context())
	})
}

// Both keep the lease for a while. The one whose maximum hold ends first must not
// renew it for less than the other counts on.
func TestMaxHoldOfOneDoesNotCutTheLeaseThatAnotherTookOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		third := stile.New(w.net.Driver.Share(), &stile.Config{Clock: bubbleClock()})
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl, MaxHold: 62 * time.Second})
		handle := lease.Handle()
		<-time.After(29900 * time.Millisecond)
		taken, err := w.others.Attach(t.Context(), handle)
		if err != nil {
			t.Fatal(err)
		}
		next, err := third.Acquire(t.Context(), "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		if taken.Err() == nil {
			t.Errorf("two holders, with tokens %d and %d", taken.Token(), next.Token())
		}
		_ = next.Release(t.Context())
		if err := third.Close(); err != nil {
			t.Error(err)
		}
	})
}
