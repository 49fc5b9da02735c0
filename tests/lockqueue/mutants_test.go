package lockqueue_test

import (
	"flag"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/stilelock/stile/tests/differ"
	"github.com/stilelock/stile/tests/model"
)

// A mutant is a target with a planted fault.
type mutant struct {
	*target
	before func(*model.Now, *model.Command)
	after  func(*model.Result)
	state  func(*model.State)
}

// Run implements differ.Target.
func (m *mutant) Run(now model.Now, key string, c model.Command) (model.Result, error) {
	if m.before != nil {
		m.before(&now, &c)
	}
	res, err := m.target.Run(now, key, c)
	if m.after != nil {
		m.after(&res)
	}
	return res, err
}

// State implements differ.Target.
func (m *mutant) State(key string) (model.State, error) {
	state, err := m.target.State(key)
	if m.state != nil {
		m.state(&state)
	}
	return state, err
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

// TestDifferFindsMutants shows that a machine that strays a little from the
// model does not get by.
func TestDifferFindsMutants(t *testing.T) {
	setFlag(t, "rapid.nofailfile", "true")
	setFlag(t, "rapid.shrinktime", "0s")
	for name, m := range map[string]mutant{
		"the wall clock is one behind": {before: func(now *model.Now, _ *model.Command) { now.Wall-- }},
		"leases end one early":         {before: func(now *model.Now, _ *model.Command) { now.Lease++ }},
		"a renewal ignores the token":  {before: func(_ *model.Now, c *model.Command) { c.Token = 0 }},
		"blocks are one short":         {before: func(_ *model.Now, c *model.Command) { c.Tokens = max(c.Tokens-1, min(c.Tokens, 1)) }},
		"no minimum hold":              {before: func(_ *model.Now, c *model.Command) { c.MinHold = 0 }},
		"a gentle break is not gentle": {before: func(_ *model.Now, c *model.Command) {
			if c.Verb == model.BreakGently {
				c.Verb = model.BreakNow
			}
		}},
		"the woken come in another order": {after: func(res *model.Result) { slices.Reverse(res.Woken) }},
		"nobody is due":                   {after: func(res *model.Result) { res.Due, res.HasDue = 0, false }},
		"nobody is first":                 {after: func(res *model.Result) { res.First = false }},
		"a refusal names too few":         {after: func(res *model.Result) { res.Holders = res.Holders[:min(len(res.Holders), 4)] }},
		"the last in line is lost": {state: func(state *model.State) {
			if len(state.Line) > 2 {
				state.Line = state.Line[:len(state.Line)-1]
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			quiet := &quietTB{T: t}
			done := make(chan struct{})
			go func() { // FailNow ends it; done then ends the test's wait.
				defer close(done)
				rapid.Check(quiet, func(t *rapid.T) {
					m.target = newTarget()
					differ.Play(t, &m, differ.Counts{})
				})
			}()
			<-done
			if !quiet.failed {
				t.Error("the mutant got by")
			}
		})
	}
}
