package lockqueue_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

func TestDurationsRoundUp(t *testing.T) {
	for d, want := range map[time.Duration]lockqueue.Micros{
		0: 0, 1: 1, 999: 1, 1000: 1, 1001: 2, time.Second: 1e6, driver.MaxTTL: 30 * 24 * 3600 * 1e6,
	} {
		if got := lockqueue.FromDuration(d); got != want {
			t.Errorf("FromDuration(%d) = %d, want %d", d, got, want)
		}
	}
	if got := lockqueue.Micros(1500).Duration(); got != 1500*time.Microsecond {
		t.Errorf("Duration() = %v", got)
	}
	if got := lockqueue.Micros(1).Time(); got != time.Unix(0, 1000).UTC() || got.Location() != time.UTC {
		t.Errorf("Time() = %v", got)
	}
}

func TestNewAttemptTakesOverTheRequest(t *testing.T) {
	req := driver.Request{
		Key: "k", ID: attemptID(1), Mode: driver.Shared, Limit: 1, TTL: time.Second + 1, NoWait: true,
		MinHold: time.Minute, Tokens: 7, Owner: "me", Metadata: map[string]string{"a": "b"},
	}
	a := lockqueue.NewAttempt(&req)
	if a.ID != req.ID || a.Mode != req.Mode || a.Limit != 1 || a.TTL != 1000001 || !a.NoWait ||
		a.MinHold != 60e6 || a.Tokens != 7 || a.Owner != "me" || !maps.Equal(a.Metadata, req.Metadata) {
		t.Errorf("got %+v", a)
	}
}

func TestEntriesForPeople(t *testing.T) {
	now := lockqueue.Now{Lease: 100, Wall: 5_000_100}
	e := lockqueue.Entry{
		ID: attemptID(3), Phase: lockqueue.Held, Mode: driver.Exclusive, Token: 9, Owner: "me",
		Metadata: map[string]string{"a": "b"}, Since: 50, SinceWall: 5_000_050, Expires: 150, MinHold: 10,
	}
	h := e.Holder(now)
	if h.ID != e.ID || h.Token != 9 || h.Owner != "me" || h.Mode != driver.Exclusive || h.Metadata["a"] != "b" ||
		!h.Since.Equal(time.UnixMicro(5_000_050)) || !h.Expires.Equal(time.UnixMicro(5_000_150)) || h.Ended != "" {
		t.Errorf("held: %+v", h)
	}
	h.Metadata["a"] = "c"
	if e.Metadata["a"] != "b" {
		t.Error("who reads a holder can change the lease's metadata")
	}
	for _, c := range []struct {
		phase   lockqueue.Phase
		expires lockqueue.Micros
		ends    int64
		ended   driver.Ended
	}{
		{lockqueue.Held, 100, 5_000_250, driver.EndedExpired},
		{lockqueue.Released, 900, 5_000_250, driver.EndedReleased},
		{lockqueue.Broken, 120, 5_000_120, driver.EndedBroken},
	} {
		e.Phase, e.Expires, e.MinHold = c.phase, c.expires, 200
		if h := e.Holder(now); h.Ended != c.ended || !h.Expires.Equal(time.UnixMicro(c.ends)) {
			t.Errorf("phase %d: %+v", c.phase, h)
		}
		if !e.Live(now) || e.Live(lockqueue.Now{Lease: 250}) {
			t.Errorf("phase %d: it is not live until its end", c.phase)
		}
	}
	e.Phase = lockqueue.Waiting
	if w := e.Waiter(); w.ID != e.ID || w.Owner != "me" || w.Mode != driver.Exclusive || !w.Since.Equal(time.UnixMicro(5_000_050)) {
		t.Errorf("waiter: %+v", w)
	}
}

func TestResultsAsErrors(t *testing.T) {
	now := lockqueue.Now{Lease: 1, Wall: 1}
	for _, status := range []lockqueue.Status{lockqueue.OK, lockqueue.Granted, lockqueue.Queued} {
		if err := (&lockqueue.Result{Status: status}).Err("k", 1, now); err != nil {
			t.Errorf("status %d: %v", status, err)
		}
	}
	lost := (&lockqueue.Result{Status: lockqueue.Lost}).Err("k", 1, now)
	if !errors.Is(lost, driver.ErrLost) {
		t.Errorf("lost: %v", lost)
	}
	var limit *driver.LimitError
	if err := (&lockqueue.Result{Status: lockqueue.LimitDiffers, Limit: 3}).Err("k", 2, now); !errors.As(err, &limit) ||
		*limit != (driver.LimitError{Key: "k", InUse: 3, Asked: 2}) {
		t.Errorf("limit: %v", err)
	}
	var busy *driver.BusyError
	res := lockqueue.Result{Status: lockqueue.Busy, Limit: 2, Holders: []lockqueue.Entry{{ID: attemptID(1), Phase: lockqueue.Held, Token: 4, Expires: 9}}}
	if err := res.Err("k", 2, now); !errors.As(err, &busy) || busy.Key != "k" || busy.Limit != 2 || len(busy.Holders) != 1 || busy.Holders[0].Token != 4 {
		t.Errorf("busy: %v", err)
	}
	if err := (&lockqueue.Result{Status: 99}).Err("k", 1, now); err == nil {
		t.Error("an unknown status is no error")
	}
}

// TestForgettable pins both ends of each condition. The world "forgotten keys"
// shows that they are enough.
func TestForgettable(t *testing.T) {
	now := lockqueue.Now{Lease: 100, Wall: 1000}
	for _, c := range []struct {
		key  lockqueue.Key
		want bool
	}{
		{lockqueue.Key{Used: 90, LastToken: 989}, true},
		{lockqueue.Key{Used: 91, LastToken: 989}, false},
		{lockqueue.Key{Used: 90, LastToken: 990}, false},
		{lockqueue.Key{Used: 90, LastToken: 989, Held: 1}, false},
		{lockqueue.Key{Used: 90, LastToken: 989, Waiting: 1}, false},
	} {
		if got := c.key.Forgettable(now, 10); got != c.want {
			t.Errorf("%s: %v", fmt.Sprintf("%+v", c.key), got)
		}
	}
}
