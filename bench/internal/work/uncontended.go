package work

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Uncontended is what a run over free keys gave.
type Uncontended struct {
	Pairs []time.Duration // how long each acquire with its release took
	Took  time.Duration
}

// RunUncontended has each worker take and give back a key of its own, again and
// again, for about d. All workers use the one client.
func RunUncontended(ctx context.Context, c Client, key string, workers int, d time.Duration, w Window) (Uncontended, error) {
	keys := make([]string, workers)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s/%d", key, i)
	}
	// So that connections stand and scripts are loaded.
	if _, err := pairs(ctx, c, keys, d/10); err != nil {
		return Uncontended{}, err
	}
	settle()
	if err := w.Begin(ctx); err != nil {
		return Uncontended{}, err
	}
	u, err := pairs(ctx, c, keys, d)
	if err != nil {
		return Uncontended{}, err
	}
	return u, w.End(ctx)
}

func pairs(ctx context.Context, c Client, keys []string, d time.Duration) (Uncontended, error) {
	took := make([][]time.Duration, len(keys))
	errs := make([]error, len(keys))
	start := time.Now()
	var group sync.WaitGroup
	for i, key := range keys {
		group.Go(func() {
			for at := start; at.Sub(start) < d && errs[i] == nil; {
				errs[i] = pair(ctx, c, key)
				now := time.Now()
				took[i] = append(took[i], now.Sub(at))
				at = now
			}
		})
	}
	group.Wait()
	u := Uncontended{Took: time.Since(start)}
	for i := range keys {
		if errs[i] != nil {
			return Uncontended{}, errs[i]
		}
		u.Pairs = append(u.Pairs, took[i]...)
	}
	return u, nil
}
