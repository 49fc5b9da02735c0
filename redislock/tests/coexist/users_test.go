package coexist

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	foreignlock "github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"

	"github.com/stilelock/stile"
	_ "github.com/stilelock/stile/redislock" // registers redis:
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// foreignOwner is whom stile shows as the holder of a lock that it did not
// grant.
const foreignOwner = "a program that does not use stile"

// errTaken: a user that does not wait found the key taken.
var errTaken = errors.New("taken")

// A user locks a key of Redis in its own way. try returns errTaken if the key
// is taken; lock waits. Both return how to unlock.
type user struct {
	name      string
	try, lock func(ctx context.Context, key string, ttl time.Duration) (unlock func(context.Context) error, err error)
}

// foreignUsers are those that know nothing of stile, each with a connection of
// its own. They look again every retry.
func foreignUsers(t *testing.T, server *redistest.Server, retry time.Duration) []user {
	t.Helper()
	return []user{
		redsyncUser(connect(t, server), retry),
		redislockUser(connect(t, server), retry),
		handwrittenUser(connect(t, server), retry),
	}
}

func connect(t *testing.T, server *redistest.Server) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { client.Close() })
	return client
}

func redsyncUser(client *redis.Client, retry time.Duration) user {
	rs := redsync.New(goredis.NewPool(client))
	const forEver = 1 << 30
	options := func(ttl time.Duration) []redsync.Option {
		return []redsync.Option{redsync.WithExpiry(ttl), redsync.WithTries(forEver), redsync.WithRetryDelay(retry)}
	}
	unlock := func(m *redsync.Mutex) func(context.Context) error {
		return func(ctx context.Context) error {
			if ok, err := m.UnlockContext(ctx); err != nil || !ok {
				return errors.Join(err, errors.New("redsync did not unlock"))
			}
			return nil
		}
	}
	return user{
		name: "redsync",
		try: func(ctx context.Context, key string, ttl time.Duration) (func(context.Context) error, error) {
			m := rs.NewMutex(key, options(ttl)...)
			err := m.TryLockContext(ctx)
			if taken := new(redsync.ErrTaken); errors.As(err, &taken) || errors.Is(err, redsync.ErrFailed) {
				err = errTaken
			}
			return unlock(m), err
		},
		lock: func(ctx context.Context, key string, ttl time.Duration) (func(context.Context) error, error) {
			m := rs.NewMutex(key, options(ttl)...)
			return unlock(m), m.LockContext(ctx)
		},
	}
}

func redislockUser(client *redis.Client, retry time.Duration) user {
	locks := foreignlock.New(client)
	obtain := func(ctx context.Context, key string, ttl time.Duration, how foreignlock.RetryStrategy) (func(context.Context) error, error) {
		lock, err := locks.Obtain(ctx, key, ttl, &foreignlock.Options{RetryStrategy: how})
		if err != nil {
			return nil, err
		}
		return lock.Release, nil
	}
	return user{
		name: "redislock",
		try: func(ctx context.Context, key string, ttl time.Duration) (func(context.Context) error, error) {
			unlock, err := obtain(ctx, key, ttl, foreignlock.NoRetry())
			if errors.Is(err, foreignlock.ErrNotObtained) {
				err = errTaken
			}
			return unlock, err
		},
		lock: func(ctx context.Context, key string, ttl time.Duration) (func(context.Context) error, error) {
			return obtain(ctx, key, ttl, foreignlock.LinearBackoff(retry))
		},
	}
}

// compareAndDelete is what the documentation of SET tells people to write.
var compareAndDelete = redis.NewScript(`if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end`)

func handwrittenUser(client *redis.Client, retry time.Duration) user {
	try := func(ctx context.Context, key string, ttl time.Duration) (func(context.Context) error, error) {
		value := rand.Text()
		ok, err := client.SetNX(ctx, key, value, ttl).Result()
		if err != nil {
			return nil, err
		} else if !ok {
			return nil, errTaken
		}
		return func(ctx context.Context) error {
			n, err := compareAndDelete.Run(ctx, client, []string{key}, value).Int()
			if err == nil && n != 1 {
				err = errors.New("the key was no more its own")
			}
			return err
		}, nil
	}
	return user{
		name: "by hand",
		try:  try,
		lock: func(ctx context.Context, key string, ttl time.Duration) (func(context.Context) error, error) {
			for {
				unlock, err := try(ctx, key, ttl)
				if !errors.Is(err, errTaken) {
					return unlock, err
				}
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-time.After(retry):
				}
			}
		},
	}
}

// open opens the server's locks for a program that uses stile.
func open(t *testing.T, server *redistest.Server, prefix string) *stile.Locker {
	t.Helper()
	locks, err := stile.Open(t.Context(), server.URL("prefix="+prefix))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { locks.Close() })
	return locks
}

// stileUser is a user of stile, for keys that are written with the prefix.
func stileUser(t *testing.T, server *redistest.Server, prefix string) user {
	t.Helper()
	locks := open(t, server, prefix)
	return user{
		name: "stile",
		try: func(ctx context.Context, key string, ttl time.Duration) (func(context.Context) error, error) {
			lease, err := locks.TryAcquire(ctx, key[len(prefix):], &stile.Options{TTL: ttl})
			if errors.Is(err, stile.ErrBusy) {
				err = errTaken
			}
			if err != nil {
				return nil, err
			}
			return lease.Release, nil
		},
		lock: func(ctx context.Context, key string, ttl time.Duration) (func(context.Context) error, error) {
			lease, err := locks.Acquire(ctx, key[len(prefix):], &stile.Options{TTL: ttl})
			if err != nil {
				return nil, err
			}
			return lease.Release, nil
		},
	}
}
