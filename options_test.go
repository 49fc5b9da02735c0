package stile_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/memlock"
)

// bounded is a store with TTL bounds of its own.
type bounded struct {
	*memlock.Driver
	least, most time.Duration
	asked       []time.Duration
}

func (b *bounded) Capabilities() driver.Capabilities {
	can := b.Driver.Capabilities()
	can.MinTTL, can.MaxTTL = b.least, b.most
	return can
}

func (b *bounded) Renew(ctx context.Context, h driver.Hold, ttl time.Duration) error {
	b.asked = append(b.asked, ttl)
	if ttl < b.least || ttl > b.most {
		return driver.ErrInvalid
	}
	return b.Driver.Renew(ctx, h, ttl)
}

func TestDefaultTTLFitsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, bounds := range [][2]time.Duration{{0, 10 * time.Second}, {20 * time.Second, time.Minute}} {
			clock := bubbleClock()
			locks := stile.New(&bounded{Driver: memlock.New(&memlock.Options{Clock: clock}), least: bounds[0], most: bounds[1]}, &stile.Config{Clock: clock})
			lease, err := locks.Acquire(t.Context(), "k", nil)
			if err != nil {
				t.Errorf("bounds %v: %v", bounds, err)
			} else if lease.TTL() < bounds[0] || lease.TTL() > bounds[1] {
				t.Errorf("bounds %v: TTL %v", bounds, lease.TTL())
			}
			if err := locks.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestMaxHoldAsksForNoTTLBelowTheStores(t *testing.T) {
	for _, most := range []time.Duration{23 * time.Second, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			clock := bubbleClock()
			const least = 5 * time.Second
			d := &bounded{Driver: memlock.New(&memlock.Options{Clock: clock}), least: least, most: time.Minute}
			events := &recorder{}
			locks := stile.New(d, &stile.Config{Clock: clock, Observe: events.observe})
			lease, err := locks.Acquire(t.Context(), "k", &stile.Options{TTL: ttl, MaxHold: most})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			<-lease.Done()
			if got := time.Since(start); got > most || got < most-100*time.Millisecond {
				t.Errorf("held for %v, want %v", got, most)
			}
			if e, failed := events.last(stile.EventRenewFailed); failed {
				t.Errorf("%+v", e)
			}
			if err := locks.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The default owner is cut to length: not within a character.
func TestDefaultOwnerIsValidText(t *testing.T) {
	was := os.Args[0]
	defer func() { os.Args[0] = was }()
	for n := range 4 {
		os.Args[0] = strings.Repeat("x", n) + strings.Repeat("鍵", 100)
		locks := stile.New(memlock.New(nil), nil)
		lease, err := locks.Acquire(t.Context(), "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = lease.Release(t.Context())
		if err := locks.Close(); err != nil {
			t.Error(err)
		}
	}
}
