package differ

import (
	"pgregory.net/rapid"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/tests/model"
)

// Spans of time, in microseconds.
const (
	second = 1_000_000
	minute = 60 * second
	hour   = 60 * minute
)

var (
	keys     = []string{"a", "b", "c"}
	attempts = 40 // for each key

	ttls     = rapid.SampledFrom([]int64{1, second, 15 * second, minute, minute, 3 * hour, 3 * hour, 3 * hour})
	minHolds = rapid.SampledFrom([]int64{0, 0, 0, second, minute, 2 * hour})
	blocks   = rapid.SampledFrom([]int{1, 1, 1, 2, 1000, 1 << 20})
	steps    = rapid.SampledFrom([]int64{1, 2, second / 2, second, second, 5 * second, 20 * second, minute, 4 * hour})
	verbs    = rapid.SampledFrom([]model.Verb{
		model.Acquire, model.Acquire, model.Acquire, model.Acquire, model.Acquire, model.Acquire,
		model.Renew, model.Renew, model.Release, model.Release, model.Release,
		model.BreakGently, model.BreakNow, model.Settle,
	})
)

// move draws one move and makes it.
func (p *play) move() {
	p.t.Helper()
	key := rapid.SampledFrom(keys).Draw(p.t, "key")
	switch kind := rapid.IntRange(0, 99).Draw(p.t, "kind"); {
	case kind < 82:
		p.run(key, p.command(key))
	case kind < 94:
		p.elapse()
	case kind < 98:
		id := p.attempt(key)
		cut := !p.model.Cut[id]
		p.model.Cut[id] = cut
		p.target.Cut(id, cut)
	case kind < 99:
		p.forget(key, rapid.SampledFrom([]int64{second, hour}).Draw(p.t, "retention"))
	default:
		p.rest(key)
	}
}

// rest lets everything end, and has the key forgotten an hour later.
func (p *play) rest(key string) {
	p.t.Helper()
	for range 2 {
		p.now.Lease += 200 * hour
		p.now.Wall += 200 * hour
		p.run(key, model.Command{Verb: model.Settle})
	}
	p.forget(key, hour)
}

// attempt draws an attempt: more often than not one that holds the key or
// waits for it.
func (p *play) attempt(key string) driver.LeaseID {
	state := p.model.State(key)
	n := rapid.IntRange(0, attempts-1).Draw(p.t, "attempt")
	if there := len(state.Holders) + len(state.Line); there > 0 && rapid.IntRange(0, 9).Draw(p.t, "known") < 6 {
		n %= there
		if n < len(state.Holders) {
			return state.Holders[n].ID
		}
		return state.Line[n-len(state.Holders)].ID
	}
	return attemptID(key, n)
}

// attemptID makes an id. That of one key is never used for another.
func attemptID(key string, n int) driver.LeaseID {
	return driver.LeaseID{key[0], byte(n), 1}
}

func (p *play) command(key string) model.Command {
	c := model.Command{Verb: verbs.Draw(p.t, "verb")}
	switch c.Verb {
	case model.Acquire: // Mostly a newcomer.
		c.ID = attemptID(key, rapid.IntRange(0, attempts-1).Draw(p.t, "attempt"))
		n := c.ID[1]
		c.Limit = p.limits[key]
		if n == 0 {
			c.Limit++ // One who has not heard.
		}
		if c.Limit == 1 && n%2 == 0 {
			c.Mode = driver.Shared
		}
		c.TTL, c.WaiterTTL = ttls.Draw(p.t, "ttl"), ttls.Draw(p.t, "waiter ttl")
		c.MinHold, c.Tokens = minHolds.Draw(p.t, "min hold"), blocks.Draw(p.t, "tokens")
		c.NoWait = rapid.IntRange(0, 4).Draw(p.t, "try") == 0
	case model.Settle:
	default:
		c.ID = p.attempt(key)
	}
	if c.Verb == model.Renew {
		c.TTL = ttls.Draw(p.t, "ttl")
		switch rapid.IntRange(0, 3).Draw(p.t, "token") {
		case 0: // Any.
		case 1:
			c.Token = 1
		default:
			c.Token = p.tokens[c.ID]
		}
	}
	return c
}

// elapse moves the time, often to when something is due, or just before. The
// wall clock goes along, stands still, or jumps.
func (p *play) elapse() {
	dt := steps.Draw(p.t, "step")
	if len(p.dues) > 0 {
		due := rapid.SampledFrom(p.dues).Draw(p.t, "due")
		before := rapid.SampledFrom([]int64{-1, 0, 1}).Draw(p.t, "before due") // -1: anyhow
		if before >= 0 && due-before > p.now.Lease {
			dt = due - before - p.now.Lease
			p.counts["to the due"]++
		}
	}
	p.now.Lease += dt
	switch rapid.IntRange(0, 7).Draw(p.t, "wall clock") {
	case 0: // It stands still.
	case 1:
		p.now.Wall -= dt / 3
	case 2:
		p.now.Wall -= 100 * hour
	case 3:
		p.now.Wall += 100 * hour
	default:
		p.now.Wall += dt
	}
}
