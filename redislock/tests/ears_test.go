package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/redislock/internal/redistest"
	"github.com/stilelock/stile/redislock/internal/script"
	"github.com/stilelock/stile/tests/model"
)

// ears listens to the channels of attempts, each its own. The attempts of one
// key listen to shard channels, as in a Cluster; what is said to holders comes
// by the plain one of the same name.
type ears struct {
	wire   *wire
	open   map[driver.LeaseID]bool
	failed error
}

const shardedKey = "b"

func sharded(id driver.LeaseID) bool { return id[0] == shardedKey[0] }

func channel(id driver.LeaseID) string { return "stile:wake:" + id.String() }

// address is where an attempt listens, as it tells the scripts.
func address(_ string, id driver.LeaseID) string {
	if sharded(id) {
		return "s:" + channel(id)
	}
	return "p:" + channel(id)
}

func newEars(t *testing.T, server *redistest.Server) *ears {
	return &ears{wire: connect(t, server), open: map[driver.LeaseID]bool{}}
}

// listen opens or closes the ear of an attempt, and returns when the server
// has done so.
func (e *ears) listen(id driver.LeaseID, open bool) {
	if e.failed != nil || e.open[id] == open {
		return
	}
	e.open[id] = open
	verb := "SUBSCRIBE"
	if !open {
		verb = "UNSUBSCRIBE"
	}
	_, e.failed = e.wire.do(verb, channel(id))
	if e.failed == nil && sharded(id) {
		_, e.failed = e.wire.do("S"+verb, channel(id))
	}
}

// reset opens all ears.
func (e *ears) reset(ids []driver.LeaseID) {
	for _, id := range ids {
		e.listen(id, true)
	}
}

// heard returns all messages that have come since it was called last.
func (e *ears) heard() ([]string, error) {
	if e.failed != nil {
		return nil, e.failed
	}
	e.wire.send("PING")
	if err := e.wire.flush(); err != nil {
		return nil, err
	}
	var messages []string
	for {
		answer, err := e.wire.read()
		if err != nil {
			return nil, err
		}
		if answer == "PONG" { // Nobody listens to anything.
			return messages, nil
		}
		values, ok := answer.([]any)
		if !ok || len(values) < 2 {
			return nil, fmt.Errorf("heard %v", answer)
		}
		switch values[0] {
		case "pong":
			return messages, nil
		case "message", "smessage":
			messages = append(messages, fmt.Sprint(values[0], " ", values[1], " ", values[2]))
		default:
			return nil, fmt.Errorf("heard %v", answer)
		}
	}
}

// check fails unless exactly these messages have come.
func (e *ears) check(want []string) error {
	got, err := e.heard()
	if err != nil {
		return err
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("it said %q, want %q", got, want)
	}
	for _, text := range got {
		if _, err := script.ParseMessage(strings.SplitN(text, " ", 3)[2]); err != nil {
			return fmt.Errorf("%w: %q", err, text)
		}
	}
	return nil
}

// expected are the messages that a command should send to open ears. ends is
// when the holders gave way before it, if somebody waited for that; 0 if not.
func (s *target) expected(k *key, c model.Command, res *lockqueue.Result, ends lockqueue.Micros) ([]string, error) {
	var want []string
	say := func(e *lockqueue.Entry, kind, text string) {
		if !s.cut[e.ID] {
			want = append(want, kind+" "+channel(e.ID)+" "+text)
		}
	}
	toWaiter := func(e *lockqueue.Entry, text string) {
		if sharded(e.ID) {
			say(e, "smessage", text)
		} else {
			say(e, "message", text)
		}
	}
	for i := range res.Woken {
		e := &res.Woken[i]
		toWaiter(e, fmt.Sprintf("g %s %d %d %d", e.ID, e.Token, e.Since, e.Expires))
	}
	ended := res.Status == lockqueue.OK
	switch {
	case c.Verb == model.Release && ended && res.Entry.Phase == lockqueue.Waiting && !res.Entry.ID.IsZero():
		toWaiter(&res.Entry, "w "+c.ID.String())
	case (c.Verb == model.BreakGently || c.Verb == model.BreakNow) && ended:
		say(&res.Entry, "message", "b "+c.ID.String())
	}
	now, err := holdersEnd(k.memory)
	if err != nil {
		return nil, err
	}
	if line := k.memory.Line(); ends != 0 && now != 0 && now < ends && (c.Verb != model.Acquire || line[0].ID != c.ID) {
		toWaiter(&line[0], "l "+line[0].ID.String())
	}
	return want, nil
}

// holdersEnd returns when the first holder gives way, if somebody holds and
// somebody waits; 0 if not.
func holdersEnd(memory *lockqueue.Memory) (lockqueue.Micros, error) {
	record, err := memory.Key()
	if err != nil || record.Held == 0 || record.Waiting == 0 {
		return 0, err
	}
	e, err := memory.NextDue()
	return e.Until(), err
}
