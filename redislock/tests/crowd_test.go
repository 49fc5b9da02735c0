package tests

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/tests/differ"
	"github.com/stilelock/stile/tests/model"
)

// crowd plays one run of moves to a target: many who want one key, alone and
// for themselves, and who give it back in time, which is what most locks are
// for and what the scripts have ways of their own for. Now and then somebody
// else comes, or is late, or cannot be heard of.
func crowd(t *rapid.T, s *target, counts differ.Counts) {
	now := model.Now{Lease: 1, Wall: 1_700_000_000_000_000}
	const name, second = "a", 1_000_000
	wants := func() model.Command {
		n := rapid.IntRange(0, 11).Draw(t, "attempt")
		c := model.Command{Verb: model.Acquire, ID: driver.LeaseID{name[0], byte(n), 1}, Limit: 1, Tokens: 1}
		c.TTL = rapid.SampledFrom([]int64{second, 15 * second, 15 * second}).Draw(t, "ttl")
		c.WaiterTTL = rapid.SampledFrom([]int64{second, 15 * second, 15 * second, 15 * second}).Draw(t, "waiter ttl")
		switch rapid.IntRange(0, 39).Draw(t, "oddity") {
		case 0:
			c.Mode = driver.Shared
		case 1:
			c.Tokens = 1000
		case 2:
			c.MinHold = 3 * second
		case 3:
			c.Limit = 2
		case 4:
			c.NoWait = true
		}
		return c
	}
	known := func() driver.LeaseID {
		if k := s.keys[name]; k != nil && len(k.seen.Waiters) > 0 && rapid.IntRange(0, 5).Draw(t, "a waiter") == 0 {
			return rapid.SampledFrom(k.seen.Waiters).Draw(t, "waiter").ID
		} else if k != nil && len(k.seen.Holders) > 0 {
			return k.seen.Holders[0].ID
		}
		return driver.LeaseID{name[0], 1, 1}
	}
	for range rapid.SampledFrom([]int{10, 100, 300}).Draw(t, "moves") {
		var c model.Command
		switch kind := rapid.IntRange(0, 99).Draw(t, "kind"); {
		case kind < 45:
			c = wants()
		case kind < 75:
			c = model.Command{Verb: model.Release, ID: known()}
		case kind < 78:
			c = model.Command{Verb: model.Renew, ID: known(), TTL: 15 * second}
		case kind < 80:
			c = model.Command{Verb: rapid.SampledFrom([]model.Verb{model.BreakGently, model.BreakNow, model.Settle}).Draw(t, "verb"), ID: known()}
		case kind < 82:
			id := known()
			s.Cut(id, !s.cut[id])
			continue
		default:
			dt := rapid.SampledFrom([]int64{1, 1000, second / 2, second, second, 5 * second, 15 * second}).Draw(t, "step")
			if k := s.keys[name]; k != nil && len(k.seen.Holders) > 0 && rapid.Bool().Draw(t, "to the end") {
				dt = max(1, int64(k.seen.Holders[0].Expires)-now.Lease)
			}
			now.Lease += dt
			now.Wall += rapid.SampledFrom([]int64{dt, dt, dt, 0, -2 * second}).Draw(t, "wall clock")
			continue
		}
		got, err := s.Run(now, name, c)
		if err != nil {
			t.Fatalf("%+v at %+v: %v", c, now, err)
		}
		counts[string(c.Verb)+" "+string(got.Answer)]++
		if c.Verb == model.Release && len(got.Woken) == 1 {
			counts["handed over"]++
		}
		counts["longest line"] = max(counts["longest line"], len(s.keys[name].seen.Waiters))
	}
}

// TestCrowdIsServedAsTheMachineServes plays runs of up to 300 moves that keep
// to the ways which most locks go.
func TestCrowdIsServedAsTheMachineServes(t *testing.T) {
	r, counts, ours := newRig(t), differ.Counts{}, theScripts()
	r.wire.load(t, ours.all()...)
	rapid.Check(t, func(t *rapid.T) { crowd(t, r.fresh(t, ours), counts) })
	t.Logf("what happened: %v", counts)
	for what, least := range map[string]int{
		"acquire granted": 50, "acquire queued": 200, "handed over": 100, "release ok": 200, "release lost": 10, "renew ok": 10, "longest line": 5,
	} {
		if counts[what] < least {
			t.Errorf("the runs are not worth much: %q happened %d times, want %d", what, counts[what], least)
		}
	}
}
