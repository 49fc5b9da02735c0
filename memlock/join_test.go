package memlock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/memlock"
)

func TestTryWithTheIDOfAWaiterEndsItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		clock := func() driver.Instant { return driver.Instant(time.Since(start) + time.Hour) }
		d := memlock.New(&memlock.Options{Clock: clock})
		req := driver.Request{Key: "k", ID: driver.NewLeaseID(), Limit: 1, TTL: time.Hour, Tokens: 1, Now: clock}
		if _, err := d.Acquire(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		req.ID = driver.NewLeaseID()
		waiting := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			_, err := d.Acquire(ctx, req)
			waiting <- err
		}()
		synctest.Wait()
		req.NoWait = true
		if _, err := d.Acquire(t.Context(), req); !errors.Is(err, driver.ErrBusy) {
			t.Errorf("try: %v, want busy", err)
		}
		synctest.Wait()
		select {
		case err := <-waiting:
			if !errors.Is(err, driver.ErrLost) {
				t.Errorf("the waiting call: %v, want lost", err)
			}
		default:
			t.Error("the call still waits, and is not in line")
		}
		_ = d.Close()
	})
}
