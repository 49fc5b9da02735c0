package stile_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/memlock"
)

func TestObserverSeesTheLifeOfALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first, err := w.others.Acquire(t.Context(), "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.mine.TryAcquire(t.Context(), "k", nil)
		refusedEvent, _ := w.events.last(stile.EventRefused)
		if !errors.Is(refusedEvent.Err, stile.ErrBusy) || refusedEvent.Key != "k" || refusedEvent.Owner != "me" {
			t.Errorf("refused: %+v", refusedEvent)
		}
		time.AfterFunc(time.Minute, func() { _ = first.Release(t.Context()) })
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
		acquired, _ := w.events.last(stile.EventAcquired)
		if acquired.Token != lease.Token() || acquired.Waited != time.Minute || acquired.Remaining != deadlineOf {
			t.Errorf("acquired: %+v", acquired)
		}
		<-time.After(ttl)
		_ = lease.Release(t.Context())
		released, _ := w.events.last(stile.EventReleased)
		if released.Held != ttl || released.Err != nil || released.ID != lease.ID() {
			t.Errorf("released: %+v", released)
		}
	})
}

func TestLogWarnsOfLossesAndKeepsSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		clock := bubbleClock()
		net := &network{Driver: memlock.New(&memlock.Options{Clock: clock})}
		locks := stile.New(net, &stile.Config{
			Clock:  clock,
			Logger: slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
		lease, err := locks.Acquire(t.Context(), "k", &stile.Options{TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		net.set(refused, nil)
		<-lease.Done()
		if err := locks.Close(); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"stile: renew failed", "stile: lost", "key=k"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("the log has no %q:\n%s", want, text.String())
			}
		}
		if strings.Contains(text.String(), lease.ID().String()) || strings.Contains(text.String(), lease.Handle()) {
			t.Errorf("the log has the lease's id, which is a capability:\n%s", text.String())
		}
	})
}

func TestLogOfABusyKeyKeepsItsLeaseIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		clock := bubbleClock()
		locks := stile.New(memlock.New(&memlock.Options{Clock: clock}), &stile.Config{
			Clock: clock, Owner: "first",
			Logger: slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		lease, err := locks.Acquire(t.Context(), "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = locks.TryAcquire(t.Context(), "k", &stile.Options{Owner: "second"})
		_ = lease.Release(t.Context())
		if err := locks.Close(); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text.String(), lease.ID().String()) {
			t.Errorf("the log has the holder's lease id:\n%s", text.String())
		}
		if !strings.Contains(text.String(), "busy") || !strings.Contains(text.String(), "first") {
			t.Errorf("the log does not say who holds:\n%s", text.String())
		}
	})
}
