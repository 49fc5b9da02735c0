package redislock

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/script"
)

// run runs a script and returns its answer: a string, or a list.
func (d *Driver) run(ctx context.Context, s *script.Script, keys *script.Keys, args []string) (rueidis.RedisMessage, error) {
	message, err := d.client.Do(ctx, d.evalsha(s, keys, args)).ToMessage()
	if err != nil && isRedis(err, "NOSCRIPT") {
		// The server was started anew, or somebody has flushed its scripts. It keeps this one.
		names := d.names(keys)
		message, err = d.client.Do(ctx, d.client.B().Eval().Script(s.Text).Numkeys(int64(len(names))).Key(names...).Arg(args...).Build()).ToMessage()
	}
	if err == nil {
		return message, nil
	}
	if ctx.Err() != nil && d.conns != nil {
		d.conns.suspect()
	}
	return message, d.explain(ctx, keys[script.Lock], err)
}

func (d *Driver) evalsha(s *script.Script, keys *script.Keys, args []string) rueidis.Completed {
	names := d.names(keys)
	return d.client.B().Evalsha().Sha1(s.SHA1).Numkeys(int64(len(names))).Key(names...).Arg(args...).Build()
}

// names are what a script is given. On one server two are enough. In a Cluster
// it is all, so that a slot on the move refuses before the script runs.
func (d *Driver) names(keys *script.Keys) []string {
	if d.cluster {
		return keys[:]
	}
	return keys[:2]
}

// list reads an answer that is a list.
func list(message rueidis.RedisMessage) ([]any, error) {
	values, err := message.ToAny()
	if err != nil {
		return nil, fmt.Errorf("%w: read answer: %w", driver.ErrAmbiguous, err)
	}
	if list, is := values.([]any); is {
		return list, nil
	}
	return nil, fmt.Errorf("%w: read answer: it is no list", driver.ErrAmbiguous)
}

// parse reads an answer of any script but inspect.
func parse(message rueidis.RedisMessage) (script.Reply, error) {
	values, err := list(message)
	if err != nil {
		return script.Reply{}, err
	}
	reply, err := script.ParseReply(values)
	if err != nil {
		return reply, fmt.Errorf("%w: %w", driver.ErrAmbiguous, err)
	}
	return reply, nil
}

// unsure remembers the attempts whose acquire was sent and not answered, until
// they are released.
type unsure struct {
	mu  sync.Mutex
	ids map[driver.LeaseID]time.Time
}

const (
	unsureMost = 1 << 12
	unsureFor  = time.Minute
)

func (u *unsure) add(id driver.LeaseID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids == nil {
		u.ids = make(map[driver.LeaseID]time.Time)
	}
	if len(u.ids) >= unsureMost {
		for id, since := range u.ids {
			if time.Since(since) > unsureFor {
				delete(u.ids, id)
			}
		}
	}
	u.ids[id] = time.Now()
}

func (u *unsure) has(id driver.LeaseID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, has := u.ids[id]
	return has
}

func (u *unsure) forget(id driver.LeaseID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.ids, id)
}
