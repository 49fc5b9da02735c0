package script

import (
	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// An Inspection is all that is kept of a lock, as it stands: what has run out
// and was not settled yet is there too.
type Inspection struct {
	// Now is the server's time.
	Now lockqueue.Micros
	// Foreign: somebody holds the lock's key without stile. Ends is then how
	// long Redis keeps it, and -1 if for ever.
	Foreign bool
	Ends    lockqueue.Micros
	// Limit is that of holders and waiters; it means nothing without them.
	Limit int
	// LastToken and LastSeq are the last token and place that were given out.
	LastToken, LastSeq uint64
	// Holders are in the order of their tokens, Waiters in that of their line.
	Holders, Waiters []lockqueue.Entry
}

// ParseInspection reads the answer of [Inspect].
func ParseInspection(values []any) (Inspection, error) {
	in := reader{values: values}
	if in.number(0) != 0 {
		in.fail("no such status")
	}
	i := Inspection{Now: in.micros()}
	switch in.text() {
	case "none", "lone", "many":
	case "foreign":
		i.Foreign = true
	default:
		in.fail("no such kind of holder")
	}
	if v, ok := in.value().(int64); !ok || v < -2 || v > luaMax/1000 {
		in.fail("the lock's lifetime is out of bounds")
	} else if i.Ends = -1; v >= 0 {
		i.Ends = lockqueue.Micros(v) * 1000
	}
	i.Limit = int(in.number(driver.MaxLimit))
	i.LastToken, i.LastSeq = in.number(luaMax), in.number(luaMax)
	for in.more() {
		if e := in.record(); e.Phase == lockqueue.Waiting {
			i.Waiters = append(i.Waiters, e)
		} else {
			i.Holders = append(i.Holders, e)
		}
	}
	return i, in.err
}

// ParseState reads the answer of [Inspect] for people: what has run out is
// left out. A key that nobody holds and nobody waits for has neither holders
// nor waiters.
func ParseState(values []any, key string) (driver.State, error) {
	i, err := ParseInspection(values)
	if err != nil {
		return driver.State{}, err
	}
	now := lockqueue.Now{Lease: i.Now, Wall: i.Now}
	state := driver.State{Key: key, Limit: max(i.Limit, 1)}
	if i.Foreign {
		foreign := lockqueue.Entry{Expires: never}
		if i.Ends >= 0 {
			foreign.Expires = i.Now + i.Ends
		}
		state.Holders = append(state.Holders, Holder(&foreign, i.Now))
	}
	for j := range i.Holders {
		if i.Holders[j].Live(now) {
			state.Holders = append(state.Holders, Holder(&i.Holders[j], i.Now))
		}
	}
	for j := range i.Waiters {
		if i.Waiters[j].Live(now) {
			state.Waiters = append(state.Waiters, i.Waiters[j].Waiter())
		}
	}
	return state, nil
}
