package locktest_test

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/stilelock/stile/driver"
)

// Renew implements [driver.Driver].
func (c *client) Renew(ctx context.Context, h driver.Hold, ttl time.Duration) error {
	if err := c.without(driver.CapTTL, ttl != h.TTL); err != nil {
		return err
	}
	if err := c.without(driver.CapAdopt, len(c.lacks)+len(c.bug) > 0 && !c.owns(ctx, h)); err != nil {
		return err
	}
	_, err := c.do(ctx, &message{Op: "renew", Hold: h, TTL: ttl})
	return err
}

// Release implements [driver.Driver].
func (c *client) Release(ctx context.Context, h driver.Hold) error {
	_, err := c.do(ctx, &message{Op: "release", Hold: h})
	return err
}

// Break implements [driver.Driver].
func (c *client) Break(ctx context.Context, key string, id driver.LeaseID, how driver.BreakHow) error {
	if err := c.without(driver.CapBreak, how == driver.BreakGently); err != nil {
		return err
	}
	_, err := c.do(ctx, &message{Op: "break", Hold: driver.Hold{Key: key, ID: id}, How: how})
	return err
}

// List implements [driver.Driver].
func (c *client) List(ctx context.Context, prefix string) iter.Seq2[driver.State, error] {
	return func(yield func(driver.State, error) bool) {
		r, err := c.do(ctx, &message{Op: "list", Prefix: prefix})
		if err != nil {
			yield(driver.State{}, err)
			return
		}
		if c.has("lists under a lock", "a list left early stays locked") {
			select {
			case c.gate <- struct{}{}:
			case <-ctx.Done():
				yield(driver.State{}, ctx.Err())
				return
			}
			if c.has("lists under a lock") {
				defer func() { <-c.gate }()
			}
		}
		for _, state := range r.States {
			state.Key = strings.TrimPrefix(state.Key, c.name+" ")
			if c.has("shares its maps") {
				c.shareMaps(&state)
			}
			if !yield(state, nil) {
				return
			}
		}
		if c.has("a list left early stays locked") {
			<-c.gate
		}
	}
}

func (c *client) shareMaps(state *driver.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, h := range state.Holders {
		if shared := c.metadata[h.ID]; shared != nil {
			state.Holders[i].Metadata = shared
		}
	}
}

// owns reports whether the lease was granted to this client, or to nobody.
func (c *client) owns(ctx context.Context, h driver.Hold) bool {
	c.mu.Lock()
	own := slices.ContainsFunc(c.held, func(own driver.Hold) bool { return own.ID == h.ID })
	c.mu.Unlock()
	if own {
		return true
	}
	for state, err := range c.List(ctx, h.Key) {
		if err == nil && slices.ContainsFunc(state.Holders, func(holder driver.Holder) bool { return holder.ID == h.ID }) {
			return false
		}
	}
	return true
}

// Nudge implements [driver.Nudger].
func (c *client) Nudge(h driver.Hold, f func()) (stop func()) {
	if err := c.enter(c.ctx); err != nil {
		return func() {}
	}
	defer c.work.Done()
	conn, err := c.dial(c.ctx, &message{Op: "watch", Hold: h})
	if err != nil {
		return func() {} // The holder hears of it when it renews.
	}
	decoder := json.NewDecoder(conn)
	var r reply
	if decoder.Decode(&r) != nil {
		_ = conn.Close()
		return func() {}
	}
	closeConn := context.AfterFunc(c.ctx, func() { _ = conn.Close() })
	over := make(chan struct{})
	c.work.Go(func() {
		defer close(over)
		for decoder.Decode(&r) == nil {
			f()
		}
	})
	return func() {
		if c.has("nudges after stop") {
			return
		}
		closeConn()
		_ = conn.Close()
		<-over
	}
}

// Close implements [driver.Driver].
func (c *client) Close() error {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	if again {
		if c.has("close fails the second time") {
			return driver.ErrClosed
		}
		return nil
	}
	switch {
	case c.has("close releases"):
		for _, h := range c.held {
			c.closed = false
			_ = c.Release(context.WithoutCancel(c.ctx), h)
			c.closed = true
		}
	case c.has("close closes all", "forgets on close"):
		if conn, err := c.dial(c.ctx, &message{Op: "bye"}); err == nil {
			_ = json.NewDecoder(conn).Decode(new(reply))
			_ = conn.Close()
		}
	case c.has("close leaves waits"):
		return nil
	}
	c.cancel()
	if !c.has("works after close") {
		c.work.Wait()
	}
	return nil
}
