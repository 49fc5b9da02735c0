package redisbench

import (
	"context"
	"fmt"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/bench/internal/work"
	_ "github.com/stilelock/stile/redislock" // registers redis:
)

// stileLibrary is stile as its users have it: opened by URL, default options.
func stileLibrary() []*library {
	return []*library{{
		name:  stileName,
		about: "stile.Open by URL, default options (TTL 15 s, renewal, token, waiting in line)",
		in:    alone | shared | line,
		dial: func(ctx context.Context, addr string, _ int) (work.Client, error) {
			return openStile(ctx, addr, "", nil)
		},
	}}
}

// A stileClient is a work.Client.
type stileClient struct {
	locks   *stile.Locker
	options *stile.Options
}

func openStile(ctx context.Context, addr, query string, options *stile.Options) (*stileClient, error) {
	locks, err := stile.Open(ctx, "redis://"+addr+"/0"+query)
	if err != nil {
		return nil, fmt.Errorf("open stile: %w", err)
	}
	return &stileClient{locks: locks, options: options}, nil
}

// Acquire waits in line.
func (c *stileClient) Acquire(ctx context.Context, key string) (work.Hold, error) {
	lease, err := c.locks.Acquire(ctx, key, c.options)
	if err != nil {
		return nil, err
	}
	return lease, nil
}

// Close ends what is left.
func (c *stileClient) Close() { _ = c.locks.Close() }
