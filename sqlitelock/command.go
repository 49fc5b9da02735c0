package sqlitelock

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A command is one step of one key, for the writing goroutine to run.
type command struct {
	key  string
	step func(v *view, now lockqueue.Now) (lockqueue.Result, error)
	// asked and permits are those of the attempt of an Acquire.
	asked   driver.LeaseID
	permits int
	// ends: the holder or waiter that the result names is to be told.
	ends bool
	// breaks: it is to be told even by its own process.
	breaks bool
	// light: unless it grants, it need not be on disk; see light.go.
	light bool

	state atomic.Int32
	since time.Time // when it was sent
	done  chan struct{}
	// What came of it, once done is closed.
	now    lockqueue.Now
	result lockqueue.Result
	err    error
}

// The states of a command. Only one that is pending can be abandoned, and then
// it will have no effect.
const (
	pending int32 = iota
	started
	abandoned
)

// do runs a command and waits for its outcome. If it fails, sent reports
// whether the command may have had an effect all the same.
func (d *Driver) do(ctx context.Context, c *command) (sent bool, err error) {
	c.since, c.done = time.Now(), make(chan struct{})
	select {
	case d.queue <- c:
		d.arrived.Add(1)
	case <-ctx.Done():
		return false, fmt.Errorf("wait for the turn to write: %w", ctx.Err())
	}
	select {
	case <-c.done:
		return true, c.err
	case <-ctx.Done():
	}
	if c.state.CompareAndSwap(pending, abandoned) {
		return false, fmt.Errorf("wait for the turn to write: %w", ctx.Err())
	}
	return true, fmt.Errorf("wait for the disk: %w: %w", driver.ErrAmbiguous, ctx.Err())
}
