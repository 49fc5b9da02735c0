package redislock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
)

// advice says, for an answer by which Redis refuses a command, what it means
// and what to do. The first word of an answer is its code. No such answer has
// changed anything.
var advice = map[string]string{
	"READONLY":    "this server is a replica: wait for the failover to end, or name the primary in the URL",
	"LOADING":     "the server is reading its data from disk: wait until it is done",
	"OOM":         "the server is out of memory: raise maxmemory or free some; leases that are held can still be renewed",
	"MISCONF":     "the server cannot save its data and takes no writes: look at its log and its disk",
	"NOAUTH":      "the server wants a password: give user and password",
	"WRONGPASS":   "user or password is wrong",
	"NOPERM":      "the user may not do this: give it the rights that the documentation names",
	"CLUSTERDOWN": "the cluster does not serve this key now: wait for its failover, or look at CLUSTER INFO",
	"TRYAGAIN":    "the key's slot is on the move to another node: wait until it is done",
	"MASTERDOWN":  "this replica has lost its primary: wait for the failover to end",
	"NOREPLICAS":  "too few replicas are connected for min-replicas-to-write",
	"BUSY":        "a script of somebody else's blocks the server",
	"MOVED":       "the key is at another node: use redis+cluster:// for a cluster",
	"ASK":         "the key is at another node: use redis+cluster:// for a cluster",
	"CROSSSLOT":   "the server is part of a cluster: use redis+cluster:// for it",
	"STILEFORMAT": "another version of stile wrote the lock's records: use one version, or wait until they are gone",
}

// isRedis reports whether err is an answer of Redis with that code.
func isRedis(err error, code string) bool {
	refused, is := rueidis.IsRedisErr(err)
	return is && strings.HasPrefix(refused.Error(), code)
}

// answered reports whether the store has answered a command: done or lost.
func answered(err error) bool { return err == nil || errors.Is(err, driver.ErrLost) }

// explain turns an error of the client into one of package driver. lock is the
// name of the lock's key in Redis.
func (d *Driver) explain(ctx context.Context, lock string, err error) error {
	var dial *net.OpError
	switch {
	case errors.Is(err, driver.ErrClosed), errors.Is(err, driver.ErrUnavailable):
		return err
	case errors.Is(err, rueidis.ErrClosing):
		if d.closing.Err() != nil {
			return driver.ErrClosed
		}
		return fmt.Errorf("%w: the client is closed", driver.ErrUnavailable)
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", driver.ErrAmbiguous, ctx.Err())
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("%w: connect to redis: %w", driver.ErrUnavailable, err)
	}
	refused, is := rueidis.IsRedisErr(err)
	if !is {
		return fmt.Errorf("%w: redis did not answer: %w", driver.ErrAmbiguous, err)
	}
	text := refused.Error()
	if strings.Contains(text, "WRONGTYPE") {
		return fmt.Errorf("%w: redis has a value of another type under the name %q, and nothing was changed: choose another key or prefix", driver.ErrInvalidKey, lock)
	}
	code, _, _ := strings.Cut(text, " ")
	meaning, known := advice[code]
	if !known {
		for code, text2 := range advice {
			if strings.Contains(text, code+" ") {
				meaning, known = text2, true
				break
			}
		}
	}
	if !known {
		return fmt.Errorf("%w: redis refuses: %w", driver.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %s: %w", driver.ErrUnavailable, meaning, err)
}
