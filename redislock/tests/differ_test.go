package tests

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/redistest"
	"github.com/stilelock/stile/tests/differ"
)

// A rig is a server and what it takes to play to it.
type rig struct {
	wire *wire
	ears *ears
	ids  []driver.LeaseID
}

func newRig(t *testing.T) *rig {
	t.Helper()
	server := redistest.Start(t)
	r := &rig{wire: connect(t, server), ears: newEars(t, server)}
	for name := range lockNames {
		for n := range 40 { // As package differ names its attempts.
			r.ids = append(r.ids, driver.LeaseID{name[0], byte(n), 1})
		}
	}
	return r
}

// fresh returns a target on a server that knows nothing.
func (r *rig) fresh(t *rapid.T, s scripts) *target {
	if _, err := r.wire.do("FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ears.heard(); err != nil { // What a run that failed has left.
		t.Fatal(err)
	}
	r.ears.reset(r.ids)
	return newTarget(t, s, r.wire, r.ears)
}

// TestScriptsDoWhatTheModelDoes plays random runs of up to 1,000 moves to the
// scripts on a ours server, over three keys with 40 attempts each: they answer
// what the model answers, keep what package lockqueue keeps, tell those who
// are to be told and nobody else, and keep no key of Redis too short.
func TestScriptsDoWhatTheModelDoes(t *testing.T) {
	r, counts, ours := newRig(t), differ.Counts{}, theScripts()
	r.wire.load(t, ours.all()...)
	rounds := 2 // Each is 100 runs, unless -rapid.checks says otherwise.
	if testing.Short() {
		rounds = 5 // Of 20.
	}
	for range rounds {
		rapid.Check(t, func(t *rapid.T) { differ.Play(t, r.fresh(t, ours), counts) })
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
