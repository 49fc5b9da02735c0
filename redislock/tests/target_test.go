package tests

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"pgregory.net/rapid"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/redislock/internal/script"
	"github.com/stilelock/stile/tests/model"
)

// retention is what the scripts are told.
const retention = time.Hour

// The six scripts, of which a mutant changes some.
type scripts struct {
	acquire, renew, release, breaks, settle, inspect script.Script
}

func theScripts() scripts {
	return scripts{script.Acquire, script.Renew, script.Release, script.Break, script.Settle, script.Inspect}
}

func (s *scripts) all() []script.Script {
	return []script.Script{s.acquire, s.renew, s.release, s.breaks, s.settle, s.inspect}
}

// A target is a number of keys on a real server, and beside it the same keys
// in package lockqueue's own memory: it fails where the two do not keep the
// same. A waiter can be reached if somebody really listens to its channel.
type target struct {
	scripts scripts
	wire    *wire
	ears    *ears
	keys    map[string]*key
	cut     map[driver.LeaseID]bool
	// turn counts the commands. t draws what the model does not know of.
	turn int
	t    *rapid.T
}

// A key is one lock.
type key struct {
	names script.Keys
	// memory is what the lock should be.
	memory *lockqueue.Memory
	// ends is when each of the names goes by itself, as the scripts have it,
	// on the lease clock; 0 if it is not there.
	ends [7]int64
	// lastUse is until when the key is in use, or was.
	lastUse lockqueue.Micros
	// written: the last command has written the state.
	written bool
	seen    script.Inspection
}

// lockNames are the locks of the keys that package differ plays with: their
// names have all the kinds of hash tags.
var lockNames = map[string]string{"a": "orders/42", "b": "x{tag}y", "c": "odd}{name"}

func newTarget(t *rapid.T, s scripts, w *wire, e *ears) *target {
	return &target{t: t, scripts: s, wire: w, ears: e, keys: map[string]*key{}, cut: map[driver.LeaseID]bool{}}
}

func (s *target) key(name string) (*key, error) {
	if k := s.keys[name]; k != nil {
		return k, nil
	}
	names, err := script.KeysFor("lock:", lockNames[name])
	if err != nil {
		return nil, err
	}
	k := &key{names: names, memory: lockqueue.NewMemory()}
	k.memory.CanReach = func(e lockqueue.Entry) bool { return !s.cut[e.ID] }
	s.keys[name] = k
	return k, nil
}

// Run implements differ.Target.
func (s *target) Run(now model.Now, name string, c model.Command) (model.Result, error) {
	k, err := s.key(name)
	if err != nil {
		return model.Result{}, err
	}
	s.turn++
	k.written = false
	at := lockqueue.Now{Lease: lockqueue.Micros(now.Lease), Wall: lockqueue.Micros(now.Wall)}
	a := s.attempt(name, c)
	ends, err := holdersEnd(k.memory)
	if err != nil {
		return model.Result{}, err
	}
	want, err := runMemory(k.memory, at, c, &a.Attempt)
	if err != nil {
		return model.Result{}, err
	}
	reply, woken, due, err := s.runScript(k, at, c, a)
	if err != nil {
		return model.Result{}, err
	}
	messages, err := s.expected(k, c, &want, ends)
	if err := errors.Join(err, s.compare(k), s.checkLifetimes(k, at), s.ears.check(messages)); err != nil {
		return model.Result{}, err
	}
	if err := compareReply(&reply, &want, at, k.memory, c.Verb, due); err != nil {
		return model.Result{}, err
	}
	got := model.Result{First: reply.Status == script.Queued && reply.Ahead == 0, Limit: reply.Limit, Due: int64(due), HasDue: due != 0}
	got.Answer = map[script.Status]model.Answer{
		script.OK: model.OK, script.Granted: model.Granted, script.Queued: model.Queued,
		script.Busy: model.Busy, script.LimitDiffers: model.LimitDiffers, script.Lost: model.Lost,
	}[reply.Status]
	if got.Token = reply.Token; reply.Status == script.OK && c.Verb == model.Renew {
		got.Token = want.Entry.Token // It is not said; that it is kept was compared.
	}
	for i := range reply.Holders {
		got.Holders = append(got.Holders, model.Grant{ID: reply.Holders[i].ID, Token: reply.Holders[i].Token})
	}
	for _, w := range woken {
		got.Woken = append(got.Woken, model.Grant{ID: w.ID, Token: w.Token})
	}
	if named := modelResult(&want, c.Verb); !reflect.DeepEqual(got, named) {
		return got, fmt.Errorf("answered\n%+v, want\n%+v", got, named)
	}
	return got, nil
}

// attempt makes the attempt of a command, and what people read of it.
func (s *target) attempt(name string, c model.Command) *script.Attempt {
	a := &script.Attempt{How: script.Queue}
	if c.NoWait {
		a.How = script.Try
	}
	a.Attempt = lockqueue.Attempt{
		ID: c.ID, Mode: c.Mode, Limit: c.Limit, Tokens: c.Tokens, NoWait: c.NoWait,
		TTL: lockqueue.Micros(c.TTL), MinHold: lockqueue.Micros(c.MinHold), WaiterTTL: lockqueue.Micros(c.WaiterTTL),
		Addr: address(name, c.ID),
	}
	if s.turn%5 != 0 {
		a.Owner = "build host/" + strconv.Itoa(s.turn) + `/"stile" %d }{ <é>` + "\n"
	}
	if s.turn%3 == 0 {
		a.Metadata = map[string]string{"job": strconv.Itoa(s.turn), "": " x  y "}
	}
	return a
}

// State implements differ.Target.
func (s *target) State(name string) (model.State, error) {
	var state model.State
	k, err := s.key(name)
	if err != nil {
		return state, err
	}
	for i := range k.seen.Holders {
		e := &k.seen.Holders[i]
		state.Holders = append(state.Holders, model.Lease{
			ID: e.ID, Token: e.Token, Until: int64(e.Until()),
			Released: e.Phase == lockqueue.Released, Broken: e.Phase == lockqueue.Broken,
		})
	}
	for i := range k.seen.Waiters {
		e := &k.seen.Waiters[i]
		state.Line = append(state.Line, model.Waiter{ID: e.ID, Until: int64(e.Until())})
	}
	return state, nil
}

// Forget implements differ.Target. Redis forgets by itself; that it does not
// do so too early, checkLifetimes sees to.
func (s *target) Forget(now model.Now, name string, after int64) (bool, error) {
	k, err := s.key(name)
	if err != nil {
		return false, err
	}
	record, err := k.memory.Key()
	at := lockqueue.Now{Lease: lockqueue.Micros(now.Lease), Wall: lockqueue.Micros(now.Wall)}
	if err != nil || record.LastToken == 0 || !record.Forgettable(at, lockqueue.Micros(after)) {
		return false, err
	}
	delete(s.keys, name)
	_, err = s.wire.do(append([]string{"DEL"}, k.names[:]...)...)
	return true, err
}

// Cut implements differ.Target: it closes the ear of an attempt, or opens it.
func (s *target) Cut(id driver.LeaseID, cut bool) {
	s.cut[id] = cut
	s.ears.listen(id, !cut)
}
