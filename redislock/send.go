package redislock

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/redislock/internal/script"
)

// run runs a script and returns its answer: a string, or a list.
func (d *Driver) run(ctx context.Context, s *script.Script, keys *script.Keys, args []string) (rueidis.RedisMessage, error) {
	if d.conns != nil && ctx.Done() != nil {
		defer d.conns.heed(ctx)()
	}
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
		patience := silent
		if s == &script.Renew {
			patience = silentRenew
		}
		d.conns.suspect(patience)
	}
	return message, d.explain(ctx, keys[script.Lock], err)
}

func (d *Driver) evalsha(s *script.Script, keys *script.Keys, args []string) rueidis.Completed {
	if d.cluster {
		return d.client.B().Evalsha().Sha1(s.SHA1).Numkeys(int64(len(keys))).Key(keys[:]...).Arg(args...).Build()
	}
	// As words, for which the client does not compute a slot.
	return d.client.B().Arbitrary("EVALSHA", s.SHA1, "2", keys[script.Lock], keys[script.State]).Args(args...).Build()
}

// names are those of the keys that were made.
func (d *Driver) names(keys *script.Keys) []string {
	if d.cluster {
		return keys[:]
	}
	return keys[:2]
}

// lastArgs are the arguments of the last acquire but its id: most others differ
// in nothing else.
type lastArgs struct {
	attempt lockqueue.Attempt
	how     script.How
	args    []string
}

// acquireArgs are the arguments of an acquire.
func (d *Driver) acquireArgs(a *script.Attempt) []string {
	if len(a.Metadata) > 0 {
		return script.AcquireArgs(a, d.retention)
	}
	last := d.last.Load()
	if last == nil || last.how != a.How || !sameButID(&last.attempt, &a.Attempt) {
		last = &lastArgs{a.Attempt, a.How, script.AcquireArgs(a, d.retention)}
		d.last.Store(last)
	}
	return append([]string{script.Opening(a.ID)}, last.args[1:]...)
}

// sameButID compares two attempts without metadata.
func sameButID(a, b *lockqueue.Attempt) bool {
	return a.Mode == b.Mode && a.Limit == b.Limit && a.TTL == b.TTL && a.MinHold == b.MinHold && a.Tokens == b.Tokens &&
		a.WaiterTTL == b.WaiterTTL && a.Addr == b.Addr && a.Owner == b.Owner
}

// isDone reports whether an answer is the shortest there is: done, and when.
func isDone(message *rueidis.RedisMessage) bool {
	if status, err := message.ToInt64(); err == nil {
		return status == int64(script.OK)
	}
	values, err := message.ToArray()
	if err != nil || len(values) != 2 {
		return false
	}
	status, err := values[0].ToInt64()
	return err == nil && status == int64(script.OK)
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
