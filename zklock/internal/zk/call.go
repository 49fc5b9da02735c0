package zk

import (
	"context"
	"fmt"

	"github.com/stilelock/stile/driver"
)

// A Reply is a server's answer. Which fields are set is said at each request.
type Reply struct {
	Path     string
	Data     []byte
	Children []string
	Stat     Stat
	// Zxid is the last transaction that the server had seen, or for a change
	// the change's own.
	Zxid int64
	// Sent is a reading of [driver.SystemClock] from before the request was
	// sent: the session lived then.
	Sent driver.Instant

	refused Code // by an answer that is no error as a whole
}

// A Call is a request under way.
type Call struct {
	session *Session
	request Request
	done    chan struct{} // closed when reply and err are set

	// These belong to session.mu until done is closed.
	state callState
	xid   int32
	reply Reply
	err   error
}

type callState uint8

const (
	waiting callState = iota // for a connection
	sent
	over
)

// Done is closed when the call has ended.
func (c *Call) Done() <-chan struct{} { return c.done }

// Wait returns the answer: a [Code] if the server refuses, ErrNotSent or
// ErrUnknown without an answer. When ctx ends first, a request that was not sent
// never will be, and one that was goes on without anybody who hears.
func (c *Call) Wait(ctx context.Context) (*Reply, error) {
	select {
	case <-c.done:
		return c.result()
	default:
	}
	select {
	case <-c.done:
		return c.result()
	case <-ctx.Done():
	}
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	switch c.state {
	case over:
		return c.result()
	case waiting:
		c.endLocked(fmt.Errorf("%w: %w", ErrNotSent, context.Cause(ctx)))
		return c.result()
	case sent:
	}
	return nil, fmt.Errorf("%w: %w", ErrUnknown, context.Cause(ctx))
}

func (c *Call) result() (*Reply, error) {
	if c.err != nil {
		return nil, c.err
	}
	return &c.reply, nil
}

func (c *Call) endLocked(err error) {
	if c.state != over {
		c.state, c.err = over, err
		close(c.done)
	}
}
