package redisbench

import (
	"context"
	"errors"
	"math"

	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	redsyncrueidis "github.com/go-redsync/redsync/v4/redis/rueidis"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidiscompat"

	"github.com/stilelock/stile/bench/internal/work"
)

// redsyncLibraries are redsync over its two clients that are still developed.
// Its retry delay is its default, a random 50 to 250 ms; it gives up after 32
// tries by default, and here it does not.
func redsyncLibraries() []*library {
	return []*library{{
		name: "redsync", variant: "go-redis", plain: []string{"set"}, in: alone | shared | line,
		about: "redsync over a go-redis pool as large as there are workers; expiry 8 s and retry after 50 to 250 ms, its defaults; no limit of tries",
		dial: func(_ context.Context, addr string, workers int) (work.Client, error) {
			c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: workers})
			return newRedsync(goredis.NewPool(c), func() { _ = c.Close() }), nil
		},
	}, {
		name: "redsync", variant: "rueidis", plain: []string{"set"}, in: alone | shared,
		about: "redsync over rueidis, which pipelines by itself; else the same",
		dial: func(_ context.Context, addr string, _ int) (work.Client, error) {
			c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true})
			if err != nil {
				return nil, err
			}
			return newRedsync(redsyncrueidis.NewPool(rueidiscompat.NewAdapter(c)), c.Close), nil
		},
	}}
}

type redsyncClient struct {
	sync  *redsync.Redsync
	close func()
}

func newRedsync(pool redsyncredis.Pool, closePool func()) *redsyncClient {
	return &redsyncClient{sync: redsync.New(pool), close: closePool}
}

// Acquire tries until it holds the key.
func (c *redsyncClient) Acquire(ctx context.Context, key string) (work.Hold, error) {
	m := c.sync.NewMutex("lock:"+key, redsync.WithTries(math.MaxInt32))
	if err := m.LockContext(ctx); err != nil {
		return nil, err
	}
	return redsyncHold{m}, nil
}

// Close closes the connections.
func (c *redsyncClient) Close() { c.close() }

type redsyncHold struct{ mutex *redsync.Mutex }

var errNotHeld = errors.New("the key was not held any more")

// Release gives the key back.
func (h redsyncHold) Release(ctx context.Context) error {
	ok, err := h.mutex.UnlockContext(ctx)
	if err == nil && !ok {
		err = errNotHeld
	}
	return err
}
