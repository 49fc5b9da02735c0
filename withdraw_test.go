package stile_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
)

// The retry after a lost reply never gets through: the first try may have been
// granted all the same.
func TestLostReplyAndThenARefusedRetryIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tries := 0
		w.net.set(func(_ context.Context, op string) error {
			if op == "acquire" {
				tries++
				if tries > 1 {
					return driver.ErrUnavailable
				}
			}
			return nil
		}, only("acquire", 1, func(context.Context, string) error { return driver.ErrAmbiguous }))
		_, err := w.mine.Acquire(t.Context(), "k", &stile.Options{TTL: time.Hour})
		if !errors.Is(err, stile.ErrUnavailable) {
			t.Errorf("acquire: %v, want unavailable", err)
		}
		if state := w.state(t, "k"); len(state.Holders) != 0 {
			t.Errorf("left behind: %+v", state.Holders)
		}
	})
}

func TestEndOfTheWaitWithTheFateUnknownSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.net.set(nil, gone)
		_, err := w.mine.Acquire(t.Context(), "k", &stile.Options{Wait: 5 * time.Second})
		if !errors.Is(err, stile.ErrWaitTimeout) || !errors.Is(err, stile.ErrAmbiguous) {
			t.Errorf("acquire: %v, want that the wait is over and the outcome unknown", err)
		}
		w.net.set(nil, only("acquire", 1, gone))
		_, err = w.mine.Acquire(t.Context(), "k2", &stile.Options{Wait: 5 * time.Second})
		if !errors.Is(err, stile.ErrWaitTimeout) || errors.Is(err, stile.ErrAmbiguous) {
			t.Errorf("acquire: %v, want only that the wait is over: it was withdrawn", err)
		}
	})
}

// An attempt that nobody got is no reason to keep the key from others.
func TestWithdrawnAttemptLeavesNoMinimumHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.net.set(nil, func(_ context.Context, op string) error {
			if op == "acquire" {
				return driver.ErrAmbiguous
			}
			return nil
		})
		if _, err := w.mine.Acquire(t.Context(), "k", &stile.Options{MinHold: time.Hour}); !errors.Is(err, stile.ErrAmbiguous) {
			t.Errorf("acquire: %v, want ambiguous", err)
		}
		if state := w.state(t, "k"); len(state.Holders) != 0 {
			t.Errorf("left behind: %+v", state.Holders)
		}
	})
}

// The grant was older than its TTL when it came, so the release finds nothing
// to end; the minimum hold would still keep the key.
func TestGrantThatCameTooLateLeavesNoMinimumHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.net.set(nil, only("acquire", 1, func(context.Context, string) error {
			<-time.After(2 * ttl)
			return nil
		}))
		if _, err := w.mine.Acquire(t.Context(), "k", &stile.Options{TTL: ttl, MinHold: time.Hour}); !errors.Is(err, stile.ErrUnavailable) {
			t.Errorf("acquire: %v, want unavailable", err)
		}
		if state := w.state(t, "k"); len(state.Holders) != 0 {
			t.Errorf("left behind: %+v", state.Holders)
		}
	})
}

// A grant that comes while Close still waits for a release has nobody to keep it.
func TestGrantDuringCloseIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		theirs, err := w.others.Acquire(t.Context(), "theirs", nil)
		if err != nil {
			t.Fatal(err)
		}
		lease := w.acquire(t, "k", nil)
		waiting := make(chan error, 1)
		go func() {
			_, err := w.mine.Acquire(context.Background(), "theirs", &stile.Options{TTL: time.Hour})
			waiting <- err
		}()
		w.net.set(only("release", 1, gone), nil)
		go func() { _ = lease.Release(context.Background()) }()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- w.mine.Close() }()
		<-time.After(time.Second)
		_ = theirs.Release(t.Context())
		if err := <-waiting; !errors.Is(err, stile.ErrClosed) {
			t.Errorf("acquire: %v, want closed", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if state := w.state(t, "theirs"); len(state.Holders) != 0 {
			t.Errorf("left behind: %+v", state.Holders)
		}
	})
}

func TestLeftBehindNamesTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
		w.net.set(refused, nil)
		_ = lease.Release(t.Context())
		<-time.After(time.Minute)
		if left, _ := w.events.last(stile.EventLeftBehind); left.Owner != "me" {
			t.Errorf("left behind: %+v", left)
		}
	})
}
