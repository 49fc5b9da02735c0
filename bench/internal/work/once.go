package work

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// RunOnce takes and gives back n different keys once each, by workers
// goroutines that share the client, and returns how long that took.
func RunOnce(ctx context.Context, c Client, key string, n, workers int) (time.Duration, error) {
	settle()
	start := time.Now()
	var next atomic.Int64
	errs := make([]error, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for errs[worker] == nil && ctx.Err() == nil {
				i := next.Add(1)
				if i > int64(n) {
					return
				}
				errs[worker] = pair(ctx, c, fmt.Sprintf("%s/%d", key, i))
			}
		})
	}
	group.Wait()
	return time.Since(start), errors.Join(ctx.Err(), errors.Join(errs...))
}
