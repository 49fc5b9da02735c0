package tests

import (
	"flag"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stilelock/stile/redislock/internal/script"
	"github.com/stilelock/stile/tests/differ"
)

// mutants are planted faults: a piece of the Lua, and what stands in its place.
var mutants = map[string][2]string{
	"a lease holds at its end":            {"m.ends(e) > m.lease then", "m.ends(e) >= m.lease then"},
	"a renewal ignores the token":         {"token ~= 0 and token ~= e.token", "false"},
	"a late copy shortens a lease":        {"math.max(e.expires, m.lease + ttl)", "m.lease + ttl"},
	"a lease is released after its end":   {"(till == '+' and since + ttl or till + 0) > string.match(CLOCK, '^%d+') + 0", "true"},
	"newcomers pass the line":             {"if m.waiting == 0 and m.hasRoom(e.mode) then", "if m.hasRoom(e.mode) then"},
	"tokens follow the clock alone":       {"math.max(m.last + 1, m.wall)", "m.wall"},
	"tokens follow the clock, when short": {"and string.sub(state, 1, 16) < wall then", "then"},
	"blocks are one short":                {"m.last = e.token + e.tokens - 1\n\te.phase", "m.last = e.token + math.max(e.tokens - 2, 0)\n\te.phase"},
	"the deaf are granted":                {"m.asking or m.reach(e) then", "m.asking or m.reach(e) or true then"},
	"an asker is told":                    {"e.id == m.asking or m.reach(e)", "m.reach(e)"},
	"the short way passes the line":       {"string.sub(state, 17) == ' 0 0 0 1 x 0 0'", "true"},
	"the short way passes the line out":   {"'^%d+ %d+ 0 ')", "'^%d+ %d+ %d+ ')"},
	"records go before their time":        {"(m.fresh or m.horizon < m.far + retention)", "m.fresh"},
	"records keep the time of others":     {"if m.horizon < m.far + retention then", "if m.horizon == 0 then"},
	"records are never told to go":        {"(m.fresh or m.horizon < m.far + retention)", "m.horizon < m.far + retention"},
	"the lock goes before its time":       {"m.lifetime(m.ends(m.lone))", "m.lifetime(m.lone.expires)"},
	"tokens are forgotten too early":      {"m.lifetime(till + math.max(m.last - m.wall, 0))", "m.lifetime(till)"},
	"a withdrawal is granted first":       {"if e.id == m.leaving then", "if false then"},
	"a gentle break is not gentle":        {"if how == 'n' or", "if true or"},
	"no minimum hold":                     {"if e.phase == 'h' and e.since + e.minimum > m.lease then", "if false then"},
	"a broken holder hears nothing":       {"m.tellHolder(e, 'b ' .. id)", "local _ = nil"},
	"a withdrawn waiter hears nothing":    {"m.tell(e, 'w ' .. id)", "local _ = nil"},
	"a probe stands in line":              {"elseif m.how ~= 'q' then", "elseif m.how == 'n' then"},
	"no time for a waiter's end":          {"math.min(m.ends(e), f.expires)", "m.ends(e)"},
	"a new lease can be renewed":          {"not e or not m.live(e) or m.isNew(id)", "not e or not m.live(e)"},
	"a semaphore has one permit more":     {"return n < m.limit", "return n <= m.limit"},
	"readers do not share":                {"return of == now", "return false"},
	"joining ignores a dead first":        {"if theirs and theirs + 0 > at + 0 then", "if theirs then"},
	"joining ignores a lease's end":       {"till + 0 > at + 0 and token + tokens", "token + tokens"},
	"joining keeps the records too short": {"and horizon + 0 >= at + waiter + retention * 1000 then", "then"},
	"joining keeps the state too short":   {"math.max(horizon, till + retention * 1000) - at", "0"},
	"joining does not know of due":        {"local due = math.min(till, theirs)", "local due = till"},
	"joining moves who waits":             {"'HSETNX'", "'HSET'"},
	"handing over to the dead":            {"and ends + 0 > at + 0 and channel", "and channel"},
	"handing over past the dead":          {"waiting ~= '1' and second and second + 0 > at + 0", "waiting ~= '1'"},
	"handing over to the deaf":            {"'g ' .. id .. ' ' .. text .. ' ' .. at .. ' ' .. expires) > 0", "'g ' .. id .. ' ' .. text .. ' ' .. at .. ' ' .. expires) >= 0"},
	"handing over one token":              {"last = grant + tokens - 1", "last = grant"},
	"handing over counts wrong":           {"string.format('%d', waiting - 1) .. ' 0 1 '", "waiting .. ' 0 1 '"},
	"handing over keeps the state short":  {"local lives = math.max(horizon, at + ttl + retention, gone) - at", "local lives = 0"},
	"handing over to one in a hurry":      {"if second and at + ttl < till + 0 and", "if false and"},
	"nobody is told to look":              {"m.ends(e) < m.before and", "false and"},
	"handing over forgets when":           {"second and math.min(at + ttl, second)", "second and second"},
	"a retry stands at the end":           {"call('ZRANK', key.line, id)", "m.waiting - 1"},
}

// plant returns the scripts with a fault.
func (s *scripts) plant(t *testing.T, fault [2]string) scripts {
	t.Helper()
	mutant, applied := *s, 0
	for _, one := range []*script.Script{&mutant.acquire, &mutant.renew, &mutant.release, &mutant.breaks, &mutant.settle} {
		text := strings.Replace(one.Text, fault[0], fault[1], 1)
		if text != one.Text {
			applied++
			*one = script.New(one.Name, text)
		}
	}
	if applied == 0 {
		t.Fatalf("no script has %q", fault[0])
	}
	return mutant
}

// TestDifferFindsMutants shows that scripts that stray a little do not get by.
func TestDifferFindsMutants(t *testing.T) {
	setFlag(t, "rapid.nofailfile", "true")
	setFlag(t, "rapid.shrinktime", "0s")
	setFlag(t, "rapid.checks", "400")
	if testing.Short() {
		setFlag(t, "rapid.checks", "2000") // Of which rapid then makes a fifth.
	}
	setFlag(t, "rapid.seed", "1") // Each mutant falls in the same run every time.
	r, ours := newRig(t), theScripts()
	for name, fault := range mutants {
		t.Run(name, func(t *testing.T) {
			mutant := ours.plant(t, fault)
			r.wire.load(t, mutant.all()...)
			quiet := &quietTB{T: t}
			done := make(chan struct{})
			go func() { // FailNow ends it; done then ends the test's wait.
				defer close(done)
				rapid.Check(quiet, func(t *rapid.T) {
					if rapid.Bool().Draw(t, "crowd") {
						crowd(t, r.fresh(t, mutant), differ.Counts{})
					} else {
						differ.Play(t, r.fresh(t, mutant), differ.Counts{})
					}
				})
			}()
			<-done
			if !quiet.failed {
				t.Error("the mutant got by")
			}
		})
	}
}

// A quietTB hears of a failure and keeps it to itself.
type quietTB struct {
	*testing.T
	failed bool
}

func (q *quietTB) Logf(string, ...any)   {}
func (q *quietTB) Log(...any)            {}
func (q *quietTB) Errorf(string, ...any) { q.failed = true }
func (q *quietTB) Error(...any)          { q.failed = true }
func (q *quietTB) Fail()                 { q.failed = true }
func (q *quietTB) Failed() bool          { return q.failed }
func (q *quietTB) Fatalf(string, ...any) { q.FailNow() }
func (q *quietTB) Fatal(...any)          { q.FailNow() }
func (q *quietTB) FailNow() {
	q.failed = true
	runtime.Goexit()
}

// setFlag sets a flag of rapid for the rest of the test.
func setFlag(t *testing.T, name, value string) {
	t.Helper()
	old := flag.Lookup(name).Value.String()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set(name, old) }) // It was its value before.
}
