package work

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// A Client is one user of a lock library. Where the work says so it has its own
// connections and objects, as if it were a process of its own; otherwise many
// goroutines share it.
type Client interface {
	// Acquire waits until it holds the key, or ctx ends.
	Acquire(ctx context.Context, key string) (Hold, error)
	// Close lets go of the connections.
	Close()
}

// A Hold is one hold of a key.
type Hold interface {
	// Release gives the key back. That it was not held any more is an error.
	Release(ctx context.Context) error
}

// A Window is told when the measured time begins and when it ends.
type Window interface {
	Begin(ctx context.Context) error
	End(ctx context.Context) error
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// settle has the garbage of the run before collected now, and not in this one.
func settle() { runtime.GC() }

// pair takes a key that is free and gives it back.
func pair(ctx context.Context, c Client, key string) error {
	hold, err := c.Acquire(ctx, key)
	if err != nil {
		return fmt.Errorf("acquire free key: %w", err)
	}
	if err := hold.Release(ctx); err != nil {
		return fmt.Errorf("release free key: %w", err)
	}
	return nil
}
