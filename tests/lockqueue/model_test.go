package lockqueue_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/tests/differ"
	"github.com/stilelock/stile/tests/model"
)

// A target is a number of keys in memory.
type target struct {
	keys map[string]*lockqueue.Memory
	cut  map[driver.LeaseID]bool
}

func newTarget() *target {
	return &target{keys: map[string]*lockqueue.Memory{}, cut: map[driver.LeaseID]bool{}}
}

func (s *target) key(name string) *lockqueue.Memory {
	if s.keys[name] == nil {
		s.keys[name] = lockqueue.NewMemory()
		s.keys[name].CanReach = func(e lockqueue.Entry) bool { return !s.cut[e.ID] }
	}
	return s.keys[name]
}

func clock(now model.Now) lockqueue.Now {
	return lockqueue.Now{Lease: lockqueue.Micros(now.Lease), Wall: lockqueue.Micros(now.Wall)}
}

// Run implements differ.Target.
func (s *target) Run(now model.Now, key string, c model.Command) (model.Result, error) {
	res, err := run(s.key(key), clock(now), c)
	if err != nil {
		return model.Result{}, err
	}
	got := model.Result{First: res.First, Limit: res.Limit, Due: int64(res.Due), HasDue: res.HasDue}
	got.Answer = map[lockqueue.Status]model.Answer{
		lockqueue.OK: model.OK, lockqueue.Granted: model.Granted, lockqueue.Queued: model.Queued,
		lockqueue.Busy: model.Busy, lockqueue.LimitDiffers: model.LimitDiffers, lockqueue.Lost: model.Lost,
	}[res.Status]
	if res.Status == lockqueue.Granted || res.Status == lockqueue.OK && c.Verb == model.Renew {
		got.Token = res.Entry.Token
	}
	for _, e := range res.Holders {
		got.Holders = append(got.Holders, model.Grant{ID: e.ID, Token: e.Token})
	}
	for _, e := range res.Woken {
		got.Woken = append(got.Woken, model.Grant{ID: e.ID, Token: e.Token})
	}
	return got, nil
}

func run(view lockqueue.View, now lockqueue.Now, c model.Command) (lockqueue.Result, error) {
	switch c.Verb {
	case model.Acquire:
		return lockqueue.Acquire(view, now, &lockqueue.Attempt{
			ID: c.ID, Mode: c.Mode, Limit: c.Limit, Tokens: c.Tokens, NoWait: c.NoWait,
			TTL: lockqueue.Micros(c.TTL), MinHold: lockqueue.Micros(c.MinHold), WaiterTTL: lockqueue.Micros(c.WaiterTTL),
		})
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

// State implements differ.Target.
func (s *target) State(key string) (model.State, error) {
	var state model.State
	holders, err := s.key(key).Holders(1 << 30)
	if err != nil {
		return state, err
	}
	for _, e := range holders {
		state.Holders = append(state.Holders, model.Lease{
			ID: e.ID, Token: e.Token, Until: int64(e.Until()),
			Released: e.Phase == lockqueue.Released, Broken: e.Phase == lockqueue.Broken,
		})
	}
	for _, e := range s.key(key).Line() {
		state.Line = append(state.Line, model.Waiter{ID: e.ID, Until: int64(e.Until())})
	}
	return state, nil
}

// Forget implements differ.Target.
func (s *target) Forget(now model.Now, key string, retention int64) (bool, error) {
	record, err := s.key(key).Key()
	if err != nil || record.LastToken == 0 || !record.Forgettable(clock(now), lockqueue.Micros(retention)) {
		return false, err
	}
	delete(s.keys, key)
	return true, nil
}

// Cut implements differ.Target.
func (s *target) Cut(id driver.LeaseID, cut bool) { s.cut[id] = cut }

// TestMachineDoesWhatTheModelDoes plays random runs of up to 1,000 moves, over
// three keys with 40 attempts each.
func TestMachineDoesWhatTheModelDoes(t *testing.T) {
	counts := differ.Counts{}
	for range 4 { // Each is 100 runs, unless -rapid.checks says otherwise.
		rapid.Check(t, func(t *rapid.T) { differ.Play(t, newTarget(), counts) })
	}
	t.Logf("what happened: %v", counts)
	for what, least := range map[string]int{
		"acquire granted": 100, "acquire queued": 100, "acquire busy": 10, "acquire limit differs": 10, "acquire lost": 10,
		"renew ok": 10, "renew lost": 10, "release ok": 10, "release lost": 10, "break gently ok": 10, "break now ok": 10,
		"woken": 100, "to the due": 10, "forgotten": 10, "longest line": 8, "most holders": 5,
	} {
		if counts[what] < least {
			t.Errorf("the runs are not worth much: %q happened %d times, want %d", what, counts[what], least)
		}
	}
}
