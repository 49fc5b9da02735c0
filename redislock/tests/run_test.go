package tests

import (
	"errors"
	"fmt"
	"strconv"

	"pgregory.net/rapid"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/redislock/internal/script"
	"github.com/stilelock/stile/tests/model"
)

// coin draws what the model does not know of.
func (s *target) coin(what string) bool { return rapid.Bool().Draw(s.t, what) }

func runMemory(view lockqueue.View, now lockqueue.Now, c model.Command, a *lockqueue.Attempt) (lockqueue.Result, error) {
	switch c.Verb {
	case model.Acquire:
		return lockqueue.Acquire(view, now, a)
	case model.Renew:
		return lockqueue.Renew(view, now, c.ID, c.Token, lockqueue.Micros(c.TTL))
	case model.Release:
		return lockqueue.Release(view, now, c.ID)
	case model.BreakGently:
		return lockqueue.Break(view, now, c.ID, driver.BreakGently)
	case model.BreakNow:
		return lockqueue.Break(view, now, c.ID, driver.BreakNow)
	case model.Settle:
		return lockqueue.Settle(view, now)
	default:
		return lockqueue.Result{}, errors.New("no such verb")
	}
}

// runScript runs the command on the server. Every third acquire that would
// wait first asks whether it must, as a client does that does not listen yet.
func (s *target) runScript(k *key, now lockqueue.Now, c model.Command, a *script.Attempt) (script.Reply, []script.Woken, lockqueue.Micros, error) {
	var probed []script.Woken
	if c.Verb == model.Acquire && a.How == script.Queue && s.coin("probe") {
		probe := *a
		probe.How = script.Probe
		reply, woken, due, err := s.send(k, now, &s.scripts.acquire, script.AcquireArgs(&probe, retention))
		if err == nil && reply.Status == script.Queued {
			err = errors.New("a probe stands in line")
		}
		if err != nil || reply.Status != script.WouldQueue {
			return reply, woken, due, err
		}
		probed = woken
	}
	var reply script.Reply
	var woken []script.Woken
	var due lockqueue.Micros
	var err error
	switch c.Verb {
	case model.Acquire:
		reply, woken, due, err = s.send(k, now, &s.scripts.acquire, script.AcquireArgs(a, retention))
	case model.Renew:
		reply, woken, due, err = s.send(k, now, &s.scripts.renew, script.RenewArgs(c.ID, c.Token, lockqueue.Micros(c.TTL), retention))
	case model.Release:
		reply, woken, due, err = s.send(k, now, &s.scripts.release, script.ReleaseArgs(c.ID, script.TombNever, retention))
	case model.BreakGently:
		reply, woken, due, err = s.send(k, now, &s.scripts.breaks, script.BreakArgs(c.ID, driver.BreakGently, retention))
	case model.BreakNow:
		reply, woken, due, err = s.send(k, now, &s.scripts.breaks, script.BreakArgs(c.ID, driver.BreakNow, retention))
	default:
		reply, woken, due, err = s.send(k, now, &s.scripts.settle, script.SettleArgs(retention))
	}
	return reply, append(probed, woken...), due, err
}

// A mark is a time far away: the year 2100, in milliseconds. Each of the seven
// keys is told to go then before a script runs, so that it shows which of them
// the script has told when to go.
const mark = 4102444800000

// slack is how much longer keys live when the clock is set, in milliseconds.
const slack = 24 * 60 * 60 * 1000

// send runs one script, and reads all that is left afterwards.
func (s *target) send(k *key, now lockqueue.Now, run *script.Script, args []string) (reply script.Reply, woken []script.Woken, due lockqueue.Micros, err error) {
	names := k.names[:]
	if s.coin("two names") { // Outside of a Cluster the first two are enough.
		names = names[:2]
	}
	s.wire.send("TIME")
	skip := 1
	// As the server would: the lock's key goes when its time is over. Every
	// other time it is late, which it may be.
	if k.ends[script.Lock] != 0 && k.ends[script.Lock] <= int64(now.Lease) && s.coin("expire") {
		s.wire.send("DEL", k.names[script.Lock])
		skip++
	}
	for _, name := range k.names {
		s.wire.send("PEXPIREAT", name, strconv.Itoa(mark))
		skip++
	}
	s.wire.send(call(run, names, script.WithClock(run, args, now))...)
	s.wire.send(call(&s.scripts.inspect, names, script.WithClock(&s.scripts.inspect, script.InspectArgs(), now))...)
	for _, name := range k.names {
		s.wire.send("PEXPIRETIME", name)
	}
	if err := s.wire.flush(); err != nil {
		return reply, nil, 0, err
	}
	answers := make([]any, skip+2+len(k.names))
	for i := range answers {
		answer, failed := s.wire.read()
		if answers[i] = answer; failed != nil {
			err = errors.Join(err, failed)
		}
	}
	if err != nil {
		return reply, nil, 0, err
	}
	values, ok := answers[skip].([]any)
	if done := answers[skip] == int64(script.OK); done { // The shortest answer there is.
		values, ok = []any{int64(script.OK), "0"}, true
	}
	seen, ok2 := answers[skip+1].([]any)
	if !ok || !ok2 {
		return reply, nil, 0, fmt.Errorf("answered %v and %v", answers[skip], answers[skip+1])
	}
	values, woken, due, err = script.SplitClocked(values)
	if err == nil {
		reply, err = script.ParseReply(values)
	}
	if err == nil {
		k.seen, err = script.ParseInspection(seen)
	}
	return reply, woken, due, errors.Join(err, k.setEnds(now, answers[0], answers[skip+2:]))
}

// setEnds notes when the seven go, from what PEXPIRETIME said of each, and from
// TIME before the script ran.
func (k *key) setEnds(now lockqueue.Now, before any, answers []any) error {
	clock, err := timeOf(before)
	if err != nil {
		return err
	}
	for i := range k.ends {
		switch at := answers[i]; at {
		case int64(-2):
			k.ends[i] = 0
		case int64(-1):
			err = errors.Join(err, fmt.Errorf("%s stays for ever", k.names[i]))
		case int64(mark):
		default:
			k.ends[i] = int64(now.Lease) + (at.(int64)-clock-slack)*1000
			k.written = k.written || i == script.State
		}
	}
	return err
}

// timeOf reads the answer of TIME, in milliseconds.
func timeOf(answer any) (int64, error) {
	values, ok := answer.([]any)
	if !ok || len(values) != 2 {
		return 0, fmt.Errorf("it is %v", answer)
	}
	seconds, err := strconv.ParseInt(values[0].(string), 10, 64)
	micros, err2 := strconv.ParseInt(values[1].(string), 10, 64)
	return seconds*1000 + micros/1000, errors.Join(err, err2)
}
