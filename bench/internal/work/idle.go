package work

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// errServed is for a waiter that was granted a key that somebody else held all
// the time.
var errServed = errors.New("a waiter was granted while the key was held")

// RunIdle has holder keep the key while all waiters wait for it, and measures
// for d after they have waited for settleFor. At the end nobody was granted.
func RunIdle(ctx context.Context, holder Client, waiters []Client, key string, settleFor, d time.Duration, w Window) (err error) {
	hold, err := holder.Acquire(ctx, key)
	if err != nil {
		return fmt.Errorf("acquire held key: %w", err)
	}
	line, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer func() {
		stop()
		// Waiters of a library that cannot be told to stop end when they are served.
		err = errors.Join(err, hold.Release(ctx))
		group.Wait()
	}()
	failed := make(chan error, len(waiters))
	for _, c := range waiters {
		group.Go(func() {
			got, err := c.Acquire(line, key)
			over := line.Err() != nil
			switch {
			case err == nil && over:
				_ = got.Release(ctx)
			case err == nil:
				failed <- errors.Join(errServed, got.Release(ctx))
			case !over:
				failed <- fmt.Errorf("wait for held key: %w", err)
			}
		})
	}
	pause(ctx, settleFor)
	if err := w.Begin(ctx); err != nil {
		return err
	}
	pause(ctx, d)
	if err := w.End(ctx); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
		return ctx.Err()
	}
}
