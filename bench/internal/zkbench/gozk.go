package zkbench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/stilelock/stile/bench/internal/work"
)

// session is the session timeout of those that ask for one: stile's TTL.
const session = 15 * time.Second

var errNoSession = errors.New("no session")

func zkLibrary() *library {
	return &library{
		name: "zk.Lock", about: "go-zookeeper/zk v1.0.4, its Lock; session 15 s",
		dial: dialZK,
	}
}

func dialZK(ctx context.Context, addr string) (work.Client, error) {
	conn, events, err := zk.Connect([]string{addr}, session, zk.WithLogInfo(false))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	timer := time.NewTimer(session)
	defer timer.Stop()
	for {
		select {
		case event := <-events:
			if event.State == zk.StateHasSession {
				// The last resort: a lock that waits cannot be told to stop.
				return &zkClient{conn: conn, stop: context.AfterFunc(ctx, conn.Close)}, nil
			}
		case <-ctx.Done():
			conn.Close()
			return nil, ctx.Err()
		case <-timer.C:
			conn.Close()
			return nil, fmt.Errorf("connect: %w within %v", errNoSession, session)
		}
	}
}

type zkClient struct {
	conn *zk.Conn
	stop func() bool
}

// Acquire waits in line, whatever becomes of the context.
func (c *zkClient) Acquire(_ context.Context, key string) (work.Hold, error) {
	lock := zk.NewLock(c.conn, zkPath(key), zk.WorldACL(zk.PermAll))
	if err := lock.Lock(); err != nil {
		return nil, err
	}
	return zkHold{lock}, nil
}

// Close ends the session.
func (c *zkClient) Close() {
	c.stop()
	c.conn.Close()
}

type zkHold struct{ lock *zk.Lock }

// Release gives the key back.
func (h zkHold) Release(context.Context) error { return h.lock.Unlock() }

// zkPath makes a path of one level of a key, as stile has it.
func zkPath(key string) string { return "/zk-" + strings.ReplaceAll(key, "/", "-") }
