package script

import (
	"fmt"
	"strconv"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A Status is how a script went for the one who sent it.
type Status uint8

// The statuses, as the scripts say them.
const (
	// OK: done.
	OK Status = 0
	// Granted: the attempt holds the key.
	Granted Status = 1
	// Queued: the attempt stands in line.
	Queued Status = 2
	// Busy: the attempt would not wait.
	Busy Status = 3
	// LimitDiffers: the key is in use with another limit.
	LimitDiffers Status = 4
	// Lost: there is no such lease or attempt, or it is over.
	Lost Status = 5
	// WouldQueue: the key is taken, and a [Probe] has left nothing behind.
	WouldQueue Status = 7
)

// A Reply is what a script answers. Times are the server's.
type Reply struct {
	Status Status
	// Now is the time at which the script ran. 0: a release that was as short
	// as it can be did not ask.
	Now lockqueue.Micros
	// Token and Since are those of a lease that was granted. Expires is that
	// of one that was granted or renewed.
	Token          uint64
	Since, Expires lockqueue.Micros
	// Due, when Queued, is when the key next changes by itself; 0: it does not.
	Due lockqueue.Micros
	// Ahead, when Queued, is how many stand in line before the attempt.
	Ahead int
	// Foreign, when Queued: the key's holder does not use stile, and nobody
	// will say when it goes.
	Foreign bool
	// Limit is the key's, when Busy or LimitDiffers.
	Limit int
	// Holders, when Busy, are the first few.
	Holders []lockqueue.Entry
}

// ParseAnswer reads the answer of any script but [Inspect]. Where [Acquire] has
// granted in the shortest way it is a text, the time, which is the token too;
// ttl is the attempt's. Where [Release] has ended a lease in the shortest way it
// is the number 0.
func ParseAnswer(answer any, ttl lockqueue.Micros) (Reply, error) {
	switch v := answer.(type) {
	case string:
		at, err := parseNumber(v)
		if err != nil {
			return Reply{}, errReply("it is no number")
		}
		now := lockqueue.Micros(at)
		return Reply{Status: Granted, Now: now, Token: at, Since: now, Expires: now + ttl}, nil
	case int64:
		if v != int64(OK) {
			return Reply{}, errReply("no such status")
		}
		return Reply{}, nil
	case []any:
		return ParseReply(v)
	default:
		return Reply{}, errReply(fmt.Sprintf("it is a %T", answer))
	}
}

// ParseReply reads an answer that is a list: see [ParseAnswer]. Its values are int64 or string, as
// client libraries give them.
func ParseReply(values []any) (Reply, error) {
	in := reader{values: values}
	r := Reply{Status: Status(in.number(uint64(WouldQueue))), Now: in.micros()}
	switch r.Status {
	case OK:
		if in.more() {
			r.Expires = in.micros()
		}
	case Granted:
		r.Token, r.Since, r.Expires = in.number(luaMax), in.micros(), in.micros()
	case Queued:
		r.Due, r.Ahead, r.Foreign = in.micros(), int(in.number(1<<31-1)), in.number(1) == 1
	case Busy:
		r.Limit = int(in.number(driver.MaxLimit))
		for in.more() {
			r.Holders = append(r.Holders, in.record())
		}
	case LimitDiffers:
		r.Limit = int(in.number(driver.MaxLimit))
	case Lost, WouldQueue:
	default:
		in.fail("no such status")
	}
	if in.more() {
		in.fail("it goes on")
	}
	return r, in.err
}

// Err returns the driver's error for a reply that refuses: nil for the others.
func (r *Reply) Err(key string, asked int) error {
	switch r.Status {
	case Busy:
		busy := &driver.BusyError{Key: key, Limit: r.Limit}
		for i := range r.Holders {
			busy.Holders = append(busy.Holders, Holder(&r.Holders[i], r.Now))
		}
		return busy
	case LimitDiffers:
		return &driver.LimitError{Key: key, InUse: r.Limit, Asked: asked}
	case Lost:
		return driver.ErrLost
	case OK, Granted, Queued, WouldQueue:
	}
	return nil
}

// A Woken is a waiter that a script has granted.
type Woken struct {
	ID    driver.LeaseID
	Token uint64
}

// SplitClocked takes apart the answer to a script that was run [WithClock]:
// what it always answers, whom it woke, and when the key next changes by
// itself, 0 if it does not. It is for tests.
func SplitClocked(values []any) (reply []any, woken []Woken, due lockqueue.Micros, err error) {
	last := len(values) - 2
	if last < 0 {
		return values, nil, 0, nil
	}
	list, ok := values[last].([]any)
	if !ok { // The shortest ways answer no more than always: nobody waits there.
		return values, nil, 0, nil
	}
	in := reader{values: list}
	for in.more() {
		woken = append(woken, Woken{in.id(), in.number(luaMax)})
	}
	tail := reader{values: values[last+1:]}
	due = tail.micros()
	if in.err == nil {
		in.err = tail.err
	}
	return values[:last], woken, due, in.err
}

// luaMax is the largest number that Lua and JSON hold exactly.
const luaMax = 1<<53 - 1

// A reader reads the values of an answer in their order, until one is wrong.
type reader struct {
	values []any
	next   int
	err    error
}

func (in *reader) more() bool { return in.err == nil && in.next < len(in.values) }

func (in *reader) fail(what string) {
	if in.err == nil {
		in.err = errReply(what)
	}
}

func (in *reader) value() any {
	if !in.more() {
		in.fail("it is too short")
		return nil
	}
	in.next++
	return in.values[in.next-1]
}

// number reads a number from 0 to most.
func (in *reader) number(most uint64) uint64 {
	switch v := in.value().(type) {
	case int64:
		if v >= 0 && uint64(v) <= most {
			return uint64(v)
		}
	case string:
		if n, err := parseNumber(v); err == nil && n <= most {
			return n
		}
	}
	in.fail("value " + strconv.Itoa(in.next) + " is not a number in bounds")
	return 0
}

func (in *reader) micros() lockqueue.Micros { return lockqueue.Micros(in.number(luaMax)) }

func (in *reader) text() string {
	v, ok := in.value().(string)
	if !ok {
		in.fail("value " + strconv.Itoa(in.next) + " is not a text")
	}
	return v
}

func (in *reader) id() driver.LeaseID {
	id, err := driver.ParseLeaseID(in.text())
	if err != nil {
		in.fail("value " + strconv.Itoa(in.next) + " is no attempt id")
	}
	return id
}

func (in *reader) record() lockqueue.Entry {
	e, err := ParseRecord(in.text())
	if err != nil && in.err == nil {
		in.err = fmt.Errorf("parse reply: %w", err)
	}
	return e
}

func errReply(what string) error {
	return fmt.Errorf("parse reply: %s: the server has another version of the script", what)
}
