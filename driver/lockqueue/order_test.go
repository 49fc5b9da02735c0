package lockqueue_test

import (
	"fmt"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A verb is one of the machine's commands.
type verb uint8

const (
	acquire verb = iota
	tryAcquire
	renew
	release
	breakGently
	breakNow
	settle
	verbs // how many there are
)

func (v verb) String() string {
	return [...]string{"acquire", "try", "renew", "release", "break gently", "break now", "settle"}[v]
}

// An order is one command as its sender knows it.
type order struct {
	verb    verb
	attempt lockqueue.Attempt // its ID always, the rest for acquire and try
	ttl     lockqueue.Micros  // for renew
	token   uint64            // for renew
}

func (o *order) String() string {
	switch o.verb {
	case settle:
		return "settle"
	case renew:
		return fmt.Sprintf("renew %s, token %d, for %d", name(o.attempt.ID), o.token, o.ttl)
	case acquire, tryAcquire:
		return fmt.Sprintf("%v %s %v limit %d ttl %d min-hold %d tokens %d waiter-ttl %d", o.verb, name(o.attempt.ID),
			o.attempt.Mode, o.attempt.Limit, o.attempt.TTL, o.attempt.MinHold, o.attempt.Tokens, o.attempt.WaiterTTL)
	default:
		return fmt.Sprintf("%v %s", o.verb, name(o.attempt.ID))
	}
}

// attemptID makes the id of the nth attempt.
func attemptID(n int) driver.LeaseID { return driver.LeaseID{byte(n >> 8), byte(n), 1} }

// number is the inverse of attemptID.
func number(id driver.LeaseID) int { return int(id[0])<<8 | int(id[1]) }

// name writes the id of an attempt for people: A to Z, then numbers.
func name(id driver.LeaseID) string {
	if n := number(id); n < 26 {
		return string(rune('A' + n))
	}
	return fmt.Sprint(number(id))
}

// A machine runs orders. The planted mutants are machines too.
type machine func(view lockqueue.View, now lockqueue.Now, o *order) (lockqueue.Result, error)

// theMachine is the one under test.
func theMachine(view lockqueue.View, now lockqueue.Now, o *order) (lockqueue.Result, error) {
	switch o.verb {
	case acquire, tryAcquire:
		attempt := o.attempt
		attempt.NoWait = o.verb == tryAcquire
		return lockqueue.Acquire(view, now, &attempt)
	case renew:
		return lockqueue.Renew(view, now, o.attempt.ID, o.token, o.ttl)
	case release:
		return lockqueue.Release(view, now, o.attempt.ID)
	case breakGently:
		return lockqueue.Break(view, now, o.attempt.ID, driver.BreakGently)
	case breakNow:
		return lockqueue.Break(view, now, o.attempt.ID, driver.BreakNow)
	default:
		return lockqueue.Settle(view, now)
	}
}

// contents is all that a store keeps of one key.
type contents struct {
	key     lockqueue.Key
	holders []lockqueue.Entry // by token
	line    []lockqueue.Entry // by place
}

func contentsOf(m *lockqueue.Memory) contents {
	key, _ := m.Key() // A memory view has no errors.
	holders, _ := m.Holders(1 << 30)
	return contents{key: key, holders: holders, line: m.Line()}
}

// restore makes a view with these contents.
func (c *contents) restore() *lockqueue.Memory {
	m := lockqueue.NewMemory()
	_ = m.SetKey(c.key) // A memory view has no errors.
	for i := range c.holders {
		_ = m.Put(c.holders[i])
	}
	for i := range c.line {
		_ = m.Put(c.line[i])
	}
	return m
}
