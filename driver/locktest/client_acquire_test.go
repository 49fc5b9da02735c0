package locktest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"time"

	"github.com/stilelock/stile/driver"
)

// check refuses what can never work, and what the store lacks.
func (c *client) check(req *driver.Request) error {
	if !c.has("checks nothing") {
		if err := req.Check(); err != nil {
			return err
		}
	}
	if c.has("bounds it does not declare") && (req.TTL > time.Hour || req.Limit > 1000) {
		return driver.ErrInvalid
	}
	return errors.Join(
		c.without(driver.CapShared, req.Mode == driver.Shared),
		c.without(driver.CapLimit, req.Limit > 1),
		c.without(driver.CapMinHold, req.MinHold > 0),
		c.without(driver.CapTokenBlocks, req.Tokens > 1),
	)
}

// Acquire implements [driver.Driver].
func (c *client) Acquire(ctx context.Context, req driver.Request) (driver.Grant, error) {
	if err := c.enter(ctx); err != nil {
		return driver.Grant{}, err
	}
	defer c.work.Done()
	if err := c.check(&req); err != nil {
		return driver.Grant{}, err
	}
	if c.has("leaks a goroutine") {
		go func() { <-make(chan struct{}) }()
	}
	if c.has("one wait at a time") {
		c.gate <- struct{}{}
		defer func() { <-c.gate }()
	}
	now := req.Now
	if c.has("reads a clock of its own") {
		now = driver.SystemClock
	}
	sent := now()
	m := &message{Op: "acquire", Request: request{Request: req}}
	if c.has("ignores ended contexts", "deaf to contexts") {
		ctx = context.WithoutCancel(ctx)
	}
	conn, err := c.dial(ctx, m)
	if err != nil {
		return driver.Grant{}, err
	}
	defer func() { _ = conn.Close() }()
	grant, err := c.await(ctx, conn, m, now, sent)
	if err != nil {
		return driver.Grant{}, err
	}
	c.keep(ctx, &req, grant)
	return grant, nil
}

// keep remembers a grant.
func (c *client) keep(ctx context.Context, req *driver.Request, grant driver.Grant) {
	hold := driver.Hold{Key: req.Key, ID: req.ID, Token: grant.Token, TTL: req.TTL}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = append(c.held, hold)
	c.metadata[req.ID] = maps.Clone(req.Metadata)
	if c.has("the context ends the hold") {
		context.AfterFunc(ctx, func() { _ = c.Release(context.WithoutCancel(ctx), hold) })
	}
}

// await waits for the grant. It asks now and then, for two ends: so that a
// connection that is dead is noticed, and so that Grant.From is recent.
func (c *client) await(ctx context.Context, conn net.Conn, m *message, now driver.Clock, sent driver.Instant) (driver.Grant, error) {
	replies := make(chan reply)
	gone := make(chan struct{})
	defer close(gone)
	c.work.Go(func() {
		defer close(replies)
		decoder := json.NewDecoder(conn)
		for {
			var r reply
			if decoder.Decode(&r) != nil {
				return
			}
			select {
			case replies <- r:
			case <-gone:
				return
			}
		}
	})
	asking := time.NewTicker(m.Request.TTL/8 + time.Millisecond)
	defer asking.Stop()
	send := json.NewEncoder(conn)
	from, asked := sent, sent
	closed := c.ctx.Done()
	if c.has("close leaves waits") {
		closed = nil
	}
	for {
		select {
		case r, more := <-replies:
			switch {
			case !more:
				return driver.Grant{}, c.broken(ctx)
			case r.Status == "waiting":
				from, asked = asked, 0
				continue
			}
			switch {
			case c.has("from is zero"):
				from = 0
			case c.has("from is now"):
				from = now()
			}
			return driver.Grant{Token: r.Token, From: from}, r.err()
		case <-asking.C:
			if asked == 0 || asked == sent {
				asked = now()
				_ = send.Encode(message{Op: "ping", Client: c.name}) // A dead connection shows when it is read.
			}
		case <-ctx.Done():
			return driver.Grant{}, c.withdraw(send, replies, fmt.Errorf("wait for key: %w", ctx.Err()))
		case <-closed:
			return driver.Grant{}, c.withdraw(send, replies, driver.ErrClosed)
		}
	}
}

// withdraw takes the attempt back, and returns why, and whether it is sure.
func (c *client) withdraw(send *json.Encoder, replies <-chan reply, why error) error {
	if c.has("context errors are its own") {
		why = errors.New("gave up")
	}
	_ = send.Encode(message{Op: "cancel", Client: c.name}) // If it fails, no answer will come.
	patience := time.NewTimer(withdrawTime)
	defer patience.Stop()
	if c.has("close waits for the store") {
		patience.Stop()
	}
	for {
		select {
		case r, more := <-replies:
			switch {
			case r.Status == "withdrawn":
				return why
			case !more:
				return fmt.Errorf("%w: %w", driver.ErrAmbiguous, why)
			}
		case <-patience.C:
			return fmt.Errorf("%w: %w", driver.ErrAmbiguous, why)
		}
	}
}
