package zkbench

import (
	"context"
	"fmt"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/bench/internal/work"
	_ "github.com/stilelock/stile/zklock" // registers zookeeper:
)

// stileLibrary is stile as its users have it: opened by URL, default options.
func stileLibrary() *library {
	return &library{
		name:  stileName,
		about: "stile.Open by URL, default options (TTL 15 s, which asks for a session of 16 s; renewal, token)",
		dial: func(ctx context.Context, addr string) (work.Client, error) {
			locks, err := stile.Open(ctx, "zookeeper://"+addr+"/stile")
			if err != nil {
				return nil, fmt.Errorf("open stile: %w", err)
			}
			return &stileClient{locks: locks}, nil
		},
	}
}

// A stileClient is a work.Client.
type stileClient struct{ locks *stile.Locker }

// Acquire waits in line.
func (c *stileClient) Acquire(ctx context.Context, key string) (work.Hold, error) {
	lease, err := c.locks.Acquire(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	return lease, nil
}

// Close ends what is left.
func (c *stileClient) Close() { _ = c.locks.Close() }

// lineOf returns who waits for a key, of a library that tells.
func lineOf(ctx context.Context, c work.Client, key string) ([]stile.LeaseID, error) {
	ours, ok := c.(*stileClient)
	if !ok {
		return nil, nil
	}
	state, err := ours.locks.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	var line []stile.LeaseID
	for _, waiter := range state.Waiters {
		line = append(line, waiter.ID)
	}
	return line, nil
}

// tokenOf returns the fencing token of a hold, of a library that has them.
func tokenOf(hold work.Hold) (uint64, bool) {
	lease, ok := hold.(*stile.Lease)
	if !ok {
		return 0, false
	}
	return lease.Token(), true
}

// disorder counts the places of the line at which another was served. Who
// stood in line is known of stile only.
func disorder(line []stile.LeaseID, served []work.Hold) int {
	wrong := 0
	for i, hold := range served {
		if lease, ok := hold.(*stile.Lease); ok && (i >= len(line) || line[i] != lease.ID()) {
			wrong++
		}
	}
	return wrong
}
