package redisbench

import (
	"context"
	"fmt"
	"time"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"

	"github.com/stilelock/stile/bench/internal/work"
)

// redislockLibraries are bsm/redislock with the retry strategies of its own
// documentation. It has no default TTL, so it gets stile's.
func redislockLibraries() []*library {
	linear := func() redislock.RetryStrategy { return redislock.LinearBackoff(10 * time.Millisecond) }
	exponential := func() redislock.RetryStrategy {
		return redislock.ExponentialBackoff(16*time.Millisecond, 512*time.Millisecond)
	}
	pooled := func(retry func() redislock.RetryStrategy) func(context.Context, string, int) (work.Client, error) {
		return func(_ context.Context, addr string, workers int) (work.Client, error) {
			c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: workers})
			return &redislockClient{locks: redislock.New(c), retry: retry, close: func() { _ = c.Close() }}, nil
		}
	}
	return []*library{{
		name: "redislock", variant: "linear 10 ms", in: alone | shared | line, dial: pooled(linear),
		about: "bsm/redislock over a go-redis pool as large as there are workers; TTL 15 s, retry every 10 ms",
	}, {
		name: "redislock", variant: "exponential", in: line, dial: pooled(exponential),
		about: "the same, retry after 16 to 512 ms, doubling",
	}, {
		name: "redislock", variant: "auto-pipeline", in: shared,
		about: "the same over go-redis' AutoPipeline, which is marked experimental",
		dial: func(_ context.Context, addr string, workers int) (work.Client, error) {
			c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: workers})
			pipe, err := c.AutoPipeline()
			if err != nil {
				return nil, fmt.Errorf("start auto-pipeline: %w", err)
			}
			return &redislockClient{locks: redislock.New(pipe), retry: linear, close: func() {
				_ = pipe.Close()
				_ = c.Close()
			}}, nil
		},
	}}
}

// foreverMeans is a deadline that no run reaches: without one, redislock stops
// trying after the TTL.
const foreverMeans = 24 * time.Hour

type redislockClient struct {
	locks *redislock.Client
	retry func() redislock.RetryStrategy
	close func()
}

// Acquire tries until it holds the key.
func (c *redislockClient) Acquire(ctx context.Context, key string) (work.Hold, error) {
	ctx, cancel := context.WithTimeout(ctx, foreverMeans)
	defer cancel()
	lock, err := c.locks.Obtain(ctx, "lock:"+key, 15*time.Second, &redislock.Options{RetryStrategy: c.retry()})
	if err != nil {
		return nil, err
	}
	return lock, nil
}

// Close closes the connections.
func (c *redislockClient) Close() { c.close() }
