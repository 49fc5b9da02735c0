package redisbench

import (
	"context"
	"time"

	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidislock"

	"github.com/stilelock/stile/bench/internal/work"
)

// rueidislockLibrary is rueidislock as its documentation advises for one
// server: one key per lock, not three, and no notice of its own changes. After
// an acquire that took longer than TryNextAfter, 20 ms by default, it waits for
// a notice that then never comes; on a busy machine that happens, so it gets a
// second.
func rueidislockLibrary() []*library {
	return []*library{{
		name: "rueidislock", in: alone | shared | line,
		about: "KeyMajority 1 (one server), NoLoopTracking, TryNextAfter 1 s (with its default of 20 ms it can hang on a busy machine); validity 5 s, its default",
		dial: func(_ context.Context, addr string, _ int) (work.Client, error) {
			l, err := rueidislock.NewLocker(rueidislock.LockerOption{
				KeyMajority: 1, NoLoopTracking: true, TryNextAfter: time.Second,
				ClientOption: rueidis.ClientOption{InitAddress: []string{addr}},
			})
			if err != nil {
				return nil, err
			}
			return rueidislockClient{l}, nil
		},
	}}
}

type rueidislockClient struct{ locks rueidislock.Locker }

// Acquire waits until it holds the key. The hold ends with ctx.
func (c rueidislockClient) Acquire(ctx context.Context, key string) (work.Hold, error) {
	held, release, err := c.locks.WithContext(ctx, key)
	if err != nil {
		return nil, err
	}
	return rueidislockHold{held, release}, nil
}

// Close closes the connections.
func (c rueidislockClient) Close() { c.locks.Close() }

type rueidislockHold struct {
	held    context.Context //nolint:containedctx // It ends when the library has lost the key.
	release context.CancelFunc
}

// Release gives the key back.
func (h rueidislockHold) Release(ctx context.Context) error {
	lost := h.held.Err() != nil && ctx.Err() == nil
	h.release()
	if lost {
		return errNotHeld
	}
	return nil
}
