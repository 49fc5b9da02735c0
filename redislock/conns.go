package redislock

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// conns are the connections of a client of our own. One that has swallowed a
// command without a sign of life is closed, so that the client opens another:
// its own pings would take longer to find out.
type conns struct {
	mu   sync.Mutex
	open map[*conn]struct{}
}

type conn struct {
	net.Conn
	all         *conns
	read, wrote atomic.Int64 // when something came, and the first write after it
}

// silent is how long a connection may owe an answer before it is given up when a command has timed out.
const silent = 500 * time.Millisecond

func (c *conns) dial(ctx context.Context, addr string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	var raw net.Conn
	var err error
	if config != nil {
		raw, err = (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", addr)
	} else {
		raw, err = dialer.DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		return nil, err
	}
	it := &conn{Conn: raw, all: c}
	c.mu.Lock()
	if c.open == nil {
		c.open = make(map[*conn]struct{})
	}
	c.open[it] = struct{}{}
	c.mu.Unlock()
	return it, nil
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.wrote.Store(0)
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	c.wrote.CompareAndSwap(0, time.Now().UnixNano())
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// suspect closes the connections that owe an answer for too long.
func (c *conns) suspect() {
	var dead []*conn
	c.mu.Lock()
	for it := range c.open {
		if since := it.wrote.Load(); since != 0 && time.Now().UnixNano()-since > int64(silent) {
			dead = append(dead, it)
		}
	}
	c.mu.Unlock()
	for _, it := range dead {
		_ = it.Close()
	}
}

// cut closes them all.
func (c *conns) cut() {
	c.mu.Lock()
	open := slices.Collect(maps.Keys(c.open))
	c.mu.Unlock()
	for _, it := range open {
		_ = it.Close()
	}
}
