package differ

import (
	"reflect"

	"pgregory.net/rapid"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/tests/model"
)

// A Target is a machine that is compared with the model. The times that it is
// given are those that it must use.
type Target interface {
	// Run runs one command on one key.
	Run(now model.Now, key string, c model.Command) (model.Result, error)
	// State returns what is kept of the key.
	State(key string) (model.State, error)
	// Forget drops the record of an idle key if it may at now, and reports
	// whether it did.
	Forget(now model.Now, key string, retention int64) (bool, error)
	// Cut says whether a waiter can be reached from now on.
	Cut(id driver.LeaseID, cut bool)
}

// Counts is how often something happened.
type Counts map[string]int

// Play draws a run of moves, plays them to both, and fails the test where they
// differ. It adds what happened to counts.
func Play(t *rapid.T, target Target, counts Counts) {
	p := &play{
		t: t, target: target, counts: counts, model: model.NewStore(),
		now:    model.Now{Lease: 1, Wall: 1_700_000_000_000_000},
		limits: map[string]int{},
		tokens: map[driver.LeaseID]uint64{},
	}
	for _, key := range keys {
		p.limits[key] = rapid.SampledFrom([]int{1, 1, 2, 3, 5, 12}).Draw(t, "limit of "+key)
	}
	moves := rapid.SampledFrom([]int{10, 100, 1000}).Draw(t, "moves")
	for range moves {
		p.move()
	}
}

// A play is one run.
type play struct {
	t      *rapid.T
	target Target
	counts Counts
	model  *model.Store
	now    model.Now
	limits map[string]int
	dues   []int64                   // when something may be due
	tokens map[driver.LeaseID]uint64 // the last one that was seen
}

// run gives one command to both.
func (p *play) run(key string, c model.Command) {
	p.t.Helper()
	want := p.model.Run(p.now, key, c)
	got, err := p.target.Run(p.now, key, c)
	if err != nil {
		p.t.Fatalf("%s, %+v: %v", key, c, err)
	}
	if !reflect.DeepEqual(got, want) {
		p.t.Fatalf("%s, %+v at %+v:\ngot  %+v\nwant %+v", key, c, p.now, got, want)
	}
	p.compare(key)
	p.counts[string(c.Verb)+" "+string(got.Answer)]++
	p.counts["woken"] += len(got.Woken)
	if got.Token != 0 {
		p.tokens[c.ID] = got.Token
	}
	for _, woken := range got.Woken {
		p.tokens[woken.ID] = woken.Token
	}
	if got.HasDue {
		p.dues = append(p.dues[max(0, len(p.dues)-3):], got.Due)
	}
}

// compare checks that both keep the same of a key.
func (p *play) compare(key string) {
	p.t.Helper()
	want := p.model.State(key)
	got, err := p.target.State(key)
	if err != nil {
		p.t.Fatalf("%s: %v", key, err)
	}
	if !reflect.DeepEqual(got, want) {
		p.t.Fatalf("%s at %+v: it keeps\n%+v\nshould be\n%+v", key, p.now, got, want)
	}
	p.counts["longest line"] = max(p.counts["longest line"], len(got.Line))
	p.counts["most holders"] = max(p.counts["most holders"], len(got.Holders))
}

// forget has both drop an idle key, if they may.
func (p *play) forget(key string, retention int64) {
	p.t.Helper()
	want := p.model.Forgettable(p.now, key, retention)
	got, err := p.target.Forget(p.now, key, retention)
	if err != nil {
		p.t.Fatalf("forget %s: %v", key, err)
	}
	if got != want {
		p.t.Fatalf("forget %s at %+v: %v, want %v", key, p.now, got, want)
	}
	if want {
		p.model.Forget(key)
		p.counts["forgotten"]++
	}
}
