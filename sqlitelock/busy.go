package sqlitelock

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// SQLite's own busy handler sleeps up to 100 ms, a hundred times as long as a
// write takes. So busy_timeout is 0, and these bounds are for pauses of our own.
const (
	shortestPause = 50 * time.Microsecond
	longestPause  = 2 * time.Millisecond
)

// A turn is the wait for one's turn at a file that others use.
type turn struct {
	pause    time.Duration
	deadline time.Time
	limit    time.Duration
}

func newTurn(limit time.Duration) *turn {
	return &turn{pause: shortestPause, deadline: time.Now().Add(limit), limit: limit}
}

// wait pauses. It fails when the turn has taken too long or ctx has ended.
func (t *turn) wait(ctx context.Context) error {
	left := time.Until(t.deadline)
	if left <= 0 {
		return fmt.Errorf("wait %v for its turn: %w", t.limit, errBusy)
	}
	timer := time.NewTimer(min(t.next(), left))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next returns the next pause: longer each time, and not quite as long as
// others', so that two processes do not stay in step.
func (t *turn) next() time.Duration {
	pause := t.pause/2 + rand.N(t.pause/2)
	t.pause = min(2*t.pause, longestPause)
	return pause
}

// whileBusy repeats try until it succeeds, fails for another reason than that
// somebody else is busy, or has taken longer than limit.
func whileBusy(ctx context.Context, limit time.Duration, try func() error) error {
	var t *turn
	for {
		err := try()
		if err == nil || !isBusy(err) {
			return err
		}
		if t == nil {
			t = newTurn(limit)
		}
		if err := t.wait(ctx); err != nil {
			return err
		}
	}
}
