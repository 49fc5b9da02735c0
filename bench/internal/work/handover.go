package work

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// A holder of RunHandOver keeps the key for at least shortHold and less
	// than longHold, so that the one who waits is at a random place of its
	// retry delay, and has stood in line long before the key is released.
	shortHold = 20 * time.Millisecond
	longHold  = 60 * time.Millisecond
)

// HandOver is what RunHandOver gave.
type HandOver struct {
	Latencies []time.Duration // from the call of Release to the other's return from Acquire
	Overlaps  int             // how often the other was granted before the call of Release
}

// RunHandOver hands a key to and fro between two clients for about d: one holds
// it, the other waits, the holder releases, and comes back only when the other
// has it.
func RunHandOver(ctx context.Context, a, b Client, key string, d time.Duration, w Window) (HandOver, error) {
	type grant struct {
		hold Hold
		at   time.Time
		err  error
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var result HandOver
	holder, waiter := a, b
	held, err := holder.Acquire(ctx, key)
	if err != nil {
		return result, fmt.Errorf("acquire first hold: %w", err)
	}
	if err := pair(ctx, waiter, key+"/warm"); err != nil {
		return result, err
	}
	settle()
	if err := w.Begin(ctx); err != nil {
		return result, err
	}
	grants := make(chan grant, 1)
	for start := time.Now(); time.Since(start) < d; holder, waiter = waiter, holder {
		go func(c Client) {
			hold, err := c.Acquire(ctx, key)
			grants <- grant{hold, time.Now(), err}
		}(waiter)
		pause(ctx, shortHold+rand.N(longHold-shortHold))
		released := time.Now()
		if err := held.Release(ctx); err != nil {
			stop()
			<-grants
			return result, fmt.Errorf("release to next: %w", err)
		}
		next := <-grants
		if next.err != nil {
			return result, fmt.Errorf("acquire from holder: %w", next.err)
		}
		if next.at.Before(released) {
			result.Overlaps++
		}
		result.Latencies = append(result.Latencies, next.at.Sub(released))
		held = next.hold
	}
	if err := w.End(ctx); err != nil {
		return result, err
	}
	if err := held.Release(ctx); err != nil {
		return result, fmt.Errorf("release last hold: %w", err)
	}
	return result, nil
}
