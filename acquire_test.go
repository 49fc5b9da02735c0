package stile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
)

func TestWaitLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.acquire(t, "k", nil)
		start := time.Now()
		_, err := w.others.Acquire(t.Context(), "k", &stile.Options{Wait: 7 * time.Second})
		if !errors.Is(err, stile.ErrWaitTimeout) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("acquire: %v, want only the wait to be over", err)
		}
		if got := time.Since(start); got != 7*time.Second {
			t.Errorf("waited %v, want 7s", got)
		}
		if state := w.state(t, "k"); len(state.Waiters) != 0 {
			t.Errorf("left in line: %+v", state.Waiters)
		}
		_ = first.Release(t.Context())
	})
}

func TestEndOfTheContextWhileWaiting(t *testing.T) {
	errGiveUp := errors.New("give up")
	for name, test := range map[string]struct {
		end  func(context.Context) (context.Context, context.CancelFunc)
		want []error
	}{
		"cancelled": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			},
			[]error{context.Canceled},
		},
		"deadline": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Second)
			},
			[]error{context.DeadlineExceeded},
		},
		"cause": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(time.Second, func() { cancel(errGiveUp) })
				return ctx, func() { cancel(nil) }
			},
			[]error{context.Canceled, errGiveUp},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				first := w.acquire(t, "k", nil)
				ctx, cancel := test.end(t.Context())
				defer cancel()
				_, err := w.others.Acquire(ctx, "k", &stile.Options{Wait: time.Hour})
				for _, want := range test.want {
					if !errors.Is(err, want) {
						t.Errorf("acquire: %v, want %v", err, want)
					}
				}
				if errors.Is(err, stile.ErrWaitTimeout) {
					t.Errorf("acquire: %v: the wait was not over", err)
				}
				if state := w.state(t, "k"); len(state.Waiters) != 0 {
					t.Errorf("left in line: %+v", state.Waiters)
				}
				_ = first.Release(t.Context())
			})
		})
	}
}

// The context bounds the waiting, never the hold.
func TestEndOfTheContextAfterTheGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		type name struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), name{}, "value"), time.Second)
		defer cancel()
		lease, err := w.mine.Acquire(ctx, "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		if err := lease.Err(); err != nil {
			t.Fatalf("lease after the end of the acquire's context: %v", err)
		}
		if lease.Context().Value(name{}) != "value" {
			t.Error("the lease's context has not the values of the acquire's")
		}
		if err := lease.Release(ctx); err != nil {
			t.Errorf("release with a context that has ended: %v", err)
		}
		if state := w.state(t, "k"); len(state.Holders) != 0 {
			t.Errorf("still held: %+v", state.Holders)
		}
	})
}

func TestLostReplyToAcquireFindsItsOwnGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.net.set(nil, only("acquire", 2, func(context.Context, string) error { return driver.ErrAmbiguous }))
		lease := w.acquire(t, "k", nil)
		state := w.state(t, "k")
		if len(state.Holders) != 1 || state.Holders[0].ID != lease.ID() || state.Holders[0].Token != lease.Token() {
			t.Errorf("lease %v with token %d, the store has %+v", lease.ID(), lease.Token(), state.Holders)
		}
		if n := w.net.count("acquire"); n != 3 {
			t.Errorf("sent %d times, want 3", n)
		}
		_ = lease.Release(t.Context())
	})
}

// A network that loses every reply: the caller gets an answer in bounded time
// and nothing stays in the store.
func TestAmbiguousAcquireIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lost := func(_ context.Context, op string) error {
			if op == "acquire" {
				return driver.ErrAmbiguous
			}
			return nil
		}
		w.net.set(nil, lost)
		_, err := w.mine.Acquire(t.Context(), "k", nil)
		if !errors.Is(err, stile.ErrAmbiguous) || !errors.Is(err, stile.ErrUnavailable) {
			t.Errorf("acquire: %v, want ambiguous and unavailable", err)
		}
		if state := w.state(t, "k"); len(state.Holders) != 0 {
			t.Errorf("left behind: %+v", state.Holders)
		}
	})
}

// The same with a network that takes nothing: the caller is not held up, and a
// reaper withdraws when the network is back.
func TestReaperWithdrawsWhenTheNetworkIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w.net.set(nil, gone) // The command arrives, the reply never does.
		start := time.Now()
		_, err := w.mine.Acquire(ctx, "k", &stile.Options{TTL: time.Hour})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("acquire: %v", err)
		}
		if got := time.Since(start); got > 4*time.Second {
			t.Errorf("the caller was held up for %v", got)
		}
		w.net.set(gone, nil)
		<-time.After(time.Minute)
		w.net.set(nil, nil)
		<-time.After(5 * time.Second)
		if state := w.state(t, "k"); len(state.Holders) != 0 {
			t.Errorf("left behind: %+v", state.Holders)
		}
	})
}

func TestReaperIsBoundedAndTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", &stile.Options{TTL: ttl})
		w.net.set(refused, nil)
		start := time.Now()
		if err := lease.Release(t.Context()); !errors.Is(err, stile.ErrUnavailable) {
			t.Errorf("release: %v, want unavailable", err)
		}
		if got := time.Since(start); got > 3*time.Second {
			t.Errorf("the caller was held up for %v", got)
		}
		<-time.After(time.Hour)
		left, told := w.events.last(stile.EventLeftBehind)
		if !told || left.ID != lease.ID() || w.events.count(stile.EventLeftBehind) != 1 {
			t.Errorf("left behind was told as %+v", left)
		}
		if n := w.net.count("release"); n > 100 {
			t.Errorf("%d tries", n)
		}
	})
}

func TestUnavailableStoreIsNotAmbiguous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.net.set(refused, nil)
		_, err := w.mine.Acquire(t.Context(), "k", nil)
		if !errors.Is(err, stile.ErrUnavailable) || errors.Is(err, stile.ErrAmbiguous) {
			t.Errorf("acquire: %v, want unavailable only", err)
		}
		if n := w.net.count("release"); n != 0 {
			t.Errorf("%d withdrawals of what was never sent", n)
		}
	})
}

func TestBusyNamesTheHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lease := w.acquire(t, "k", &stile.Options{Owner: "host7:42 nightly"})
		_, err := w.others.TryAcquire(t.Context(), "k", &stile.Options{Wait: time.Hour})
		var busy *stile.BusyError
		if !errors.As(err, &busy) || !errors.Is(err, stile.ErrBusy) {
			t.Fatalf("try: %v, want a busy error", err)
		}
		if len(busy.Holders) != 1 || busy.Holders[0].Owner != "host7:42 nightly" || busy.Holders[0].ID != lease.ID() {
			t.Errorf("holders: %+v", busy.Holders)
		}
		if !strings.Contains(err.Error(), "host7:42 nightly") || strings.Contains(err.Error(), "\n") {
			t.Errorf("message: %q", err)
		}
		_ = lease.Release(t.Context())
	})
}

func TestInvalidArguments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for name, test := range map[string]struct {
			key  string
			opts *stile.Options
			want error
		}{
			"empty key":           {"", nil, stile.ErrInvalidKey},
			"long key":            {strings.Repeat("k", 513), nil, stile.ErrInvalidKey},
			"control character":   {"a\nb", nil, stile.ErrInvalidKey},
			"not UTF-8":           {"a\xffb", nil, stile.ErrInvalidKey},
			"negative TTL":        {"k", &stile.Options{TTL: -1}, stile.ErrInvalid},
			"short TTL":           {"k", &stile.Options{TTL: 999 * time.Millisecond}, stile.ErrInvalid},
			"endless TTL":         {"k", &stile.Options{TTL: 1 << 62}, stile.ErrInvalid},
			"negative wait":       {"k", &stile.Options{Wait: -1}, stile.ErrInvalid},
			"negative limit":      {"k", &stile.Options{Limit: -1}, stile.ErrInvalid},
			"shared with limit":   {"k", &stile.Options{Shared: true, Limit: 2}, stile.ErrInvalid},
			"negative min hold":   {"k", &stile.Options{MinHold: -1}, stile.ErrInvalid},
			"negative max hold":   {"k", &stile.Options{MaxHold: -1}, stile.ErrInvalid},
			"short max hold":      {"k", &stile.Options{MaxHold: time.Millisecond}, stile.ErrInvalid},
			"min above max hold":  {"k", &stile.Options{MinHold: time.Hour, MaxHold: time.Minute}, stile.ErrInvalid},
			"long owner":          {"k", &stile.Options{Owner: strings.Repeat("o", 257)}, stile.ErrInvalid},
			"owner not UTF-8":     {"k", &stile.Options{Owner: "\xff"}, stile.ErrInvalid},
			"metadata too large":  {"k", &stile.Options{Metadata: map[string]string{"a": strings.Repeat("v", 4096)}}, stile.ErrInvalid},
			"metadata, not UTF-8": {"k", &stile.Options{Metadata: map[string]string{"a": "\xff"}}, stile.ErrInvalid},
		} {
			_, err := w.mine.Acquire(t.Context(), test.key, test.opts)
			if !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", name, err, test.want)
			}
			if err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 200) {
				t.Errorf("%s: the message is not one short line: %q", name, err)
			}
		}
		if n := w.net.count("acquire"); n != 0 {
			t.Errorf("the store was asked %d times", n)
		}
	})
}
