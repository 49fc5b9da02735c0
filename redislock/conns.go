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

// conns are the connections of a client of our own. The client notices a
// connection that has gone silent by its pings, after 20 s; a lease would be
// lost by then, or a place in line. So when a command of ours has ended without
// an answer, each connection that owes one for too long is closed, and the next
// command opens another. Commands whose context does not end, as those of most
// who wait, are looked after by a watch.
//
// Each connection is judged by what it owes itself: from the first write after
// it last brought anything. If the answer to an earlier command came in between,
// the count begins with the next command only.
type conns struct {
	life context.Context //nolint:containedctx // It ends with cut, and what is being dialled with it.
	end  context.CancelFunc

	mu   sync.Mutex
	open map[*conn]struct{}
	work sync.WaitGroup // the watch
}

type conn struct {
	net.Conn

	all   *conns
	wrote atomic.Int64 // when the first write was since something came; 0: nothing is owed
	heard atomic.Bool  // something came, so the server has greeted
}

const (
	// silent is how long a connection may owe an answer when a command has
	// ended without its own. Most servers do not stall for so long.
	silent = 500 * time.Millisecond
	// silentRenew is the same when that command was a renewal: then a lease is
	// at stake, and a try lasts no longer than a part of its TTL.
	silentRenew = 100 * time.Millisecond
	// overdue is how long a connection may owe an answer in any case. A script of
	// somebody else's may block Redis for 5 s before it says BUSY; a waiter sends
	// every 5 s, and keeps its place for 15 s.
	overdue = 6 * time.Second
	// watchEvery is how often the watch looks.
	watchEvery = time.Second
	// dialLeast is how long a dial may take when the command that needs it has
	// ended: others may wait for the same connection.
	dialLeast = time.Second
)

func newConns() *conns {
	c := &conns{open: make(map[*conn]struct{})}
	c.life, c.end = context.WithCancel(context.Background()) //nolint:forbidigo // It ends with cut.
	c.work.Go(c.watch)
	return c
}

// watch ends with cut.
func (c *conns) watch() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.suspect(overdue)
		case <-c.life.Done():
			return
		}
	}
}

// A dialError is why there is no connection to a server that has greeted: no
// command of ours was sent.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

// dial opens a connection for the client.
func (c *conns) dial(first context.Context, addr string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(first), dialer.Timeout)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	enough := time.AfterFunc(dialLeast, func() { context.AfterFunc(first, cancel) })
	defer enough.Stop()
	var raw net.Conn
	var err error
	if config != nil {
		raw, err = (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", addr)
	} else {
		raw, err = dialer.DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		return nil, &dialError{err}
	}
	it := &conn{Conn: raw, all: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.life.Err(); err != nil {
		_ = raw.Close()
		return nil, &dialError{err}
	}
	c.open[it] = struct{}{}
	return it, nil
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(true)
		c.wrote.Store(0)
	}
	return n, c.inGreeting(err)
}

func (c *conn) Write(p []byte) (int, error) {
	if c.wrote.Load() == 0 {
		c.wrote.CompareAndSwap(0, time.Now().UnixNano())
	}
	n, err := c.Conn.Write(p)
	if err != nil && !c.heard.Load() {
		// By TLS 1.3 the server looks at a client's certificate when the client has
		// begun to write. What it says of it is there to be read.
		_ = c.Conn.SetReadDeadline(time.Now().Add(silentRenew))
		if _, why := c.Conn.Read(make([]byte, 1)); isTLS(why) {
			err = why
		}
	}
	return n, c.inGreeting(err)
}

// inGreeting marks an error from before the server has answered the greeting.
func (c *conn) inGreeting(err error) error {
	if err == nil || c.heard.Load() {
		return err
	}
	return &dialError{err}
}

func (c *conn) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// suspect closes the connections that owe an answer for patience or longer. It is
// called when a command has ended without one.
func (c *conns) suspect(patience time.Duration) {
	now := time.Now().UnixNano()
	c.closeAll(func(it *conn) bool {
		since := it.wrote.Load()
		return since != 0 && now-since >= int64(patience)
	})
}

// heed sees to it that a command whose context is cancelled ends soon, though it
// may read its answer itself and hear of nothing else. The caller calls stop
// when the command has ended.
func (c *conns) heed(ctx context.Context) (stop func()) {
	var over atomic.Bool
	forget := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(silentRenew)
		defer timer.Stop()
		select {
		case <-timer.C:
			if !over.Load() {
				c.suspect(silentRenew)
			}
		case <-c.life.Done():
		}
	})
	return func() {
		over.Store(true)
		forget()
	}
}

// cut closes them all, for good: no other is opened.
func (c *conns) cut() {
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	c.closeAll(func(*conn) bool { return true })
	c.work.Wait()
}

func (c *conns) closeAll(which func(*conn) bool) {
	c.mu.Lock()
	open := slices.Collect(maps.Keys(c.open))
	c.mu.Unlock()
	for _, it := range open {
		if which(it) {
			_ = it.Close()
		}
	}
}
