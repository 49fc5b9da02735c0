package stile_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stilelock/stile"
)

func TestDoReturnsWhatWorkReturns(t *testing.T) {
	errWork := errors.New("work failed")
	for _, want := range []error{nil, errWork} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			err := w.mine.Do(t.Context(), "k", nil, func(ctx context.Context, lease *stile.Lease) error {
				if ctx.Err() != nil || lease.Token() == 0 {
					t.Errorf("context %v, token %d", ctx.Err(), lease.Token())
				}
				return want
			})
			if !errors.Is(err, want) {
				t.Errorf("do: %v, want %v", err, want)
			}
			if state := w.state(t, "k"); len(state.Holders) != 0 {
				t.Errorf("still held: %+v", state.Holders)
			}
		})
	}
}

func TestDoTellsWorkOfTheLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		err := w.mine.Do(t.Context(), "k", &stile.Options{TTL: ttl}, func(ctx context.Context, _ *stile.Lease) error {
			w.net.set(refused, nil)
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), stile.ErrLost) {
				t.Errorf("cause: %v", context.Cause(ctx))
			}
			return ctx.Err()
		})
		if !errors.Is(err, stile.ErrLost) || !errors.Is(err, context.Canceled) {
			t.Errorf("do: %v, want lost, and what work returned", err)
		}
	})
}

// Work that did not notice the loss: its success is not passed off as covered.
func TestDoReportsALossThatWorkIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		err := w.mine.Do(t.Context(), "k", &stile.Options{TTL: ttl}, func(context.Context, *stile.Lease) error {
			w.net.set(refused, nil)
			<-time.After(time.Hour)
			return nil
		})
		if !errors.Is(err, stile.ErrLost) {
			t.Errorf("do: %v, want lost", err)
		}
	})
}

func TestDoPassesOnTheEndOfItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := w.mine.Do(ctx, "k", nil, func(ctx context.Context, lease *stile.Lease) error {
			<-ctx.Done()
			if lease.Err() != nil {
				t.Errorf("the lease ended with the context: %v", lease.Err())
			}
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, stile.ErrLost) {
			t.Errorf("do: %v", err)
		}
		if state := w.state(t, "k"); len(state.Holders) != 0 {
			t.Errorf("still held: %+v", state.Holders)
		}
	})
}

func TestDoReleasesWhenWorkPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		func() {
			defer func() {
				if recover() != "boom" {
					t.Error("the panic was swallowed")
				}
			}()
			_ = w.mine.Do(t.Context(), "k", nil, func(context.Context, *stile.Lease) error { panic("boom") })
		}()
		if state := w.state(t, "k"); len(state.Holders) != 0 {
			t.Errorf("still held: %+v", state.Holders)
		}
	})
}

// The work was covered: that the store cannot be told of the end is not its
// failure.
func TestDoForgivesAReleaseThatIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		err := w.mine.Do(t.Context(), "k", nil, func(context.Context, *stile.Lease) error {
			w.net.set(refused, nil)
			return nil
		})
		if err != nil {
			t.Errorf("do: %v", err)
		}
	})
}

// A closed locker does not renew: work that ran on was not covered to its end.
func TestDoReportsThatTheLockerWasClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		err := w.mine.Do(t.Context(), "k", &stile.Options{TTL: ttl}, func(ctx context.Context, _ *stile.Lease) error {
			if err := w.mine.Close(); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), stile.ErrClosed) {
				t.Errorf("cause: %v", context.Cause(ctx))
			}
			<-time.After(time.Hour)
			return nil
		})
		if !errors.Is(err, stile.ErrClosed) {
			t.Errorf("do: %v, want closed", err)
		}
	})
}
