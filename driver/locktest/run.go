package locktest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

// A testCase is one case. It runs on a world of its own.
type testCase struct {
	// name says what the case shows.
	name string
	// needs are the capabilities without which the case makes no sense.
	needs []driver.Capability
	// uses are the hooks that the case needs.
	uses []Hook
	// nudges: the case needs a driver.Nudger.
	nudges bool
	// kind says what kind of key the case uses as a mutex.
	kind kind
	// run is the case.
	run func(w *world)
}

// A group is the cases about one concept.
type group struct {
	name  string
	cases []testCase
}

// groups are all cases, in the order in which they run.
func groups() []group {
	all := []group{
		{"declares", declareCases()},
		{"leaks", leakCases},
		{"mutex", mutexCases},
		{"rw_as_mutex", asMutex(rwKind)},
		{"semaphore_as_mutex", asMutex(semaphoreKind)},
		{"exclusion", exclusionCases},
		{"queue", queueCases},
		{"shared", sharedCases},
		{"limit", limitCases},
		{"try", tryCases},
		{"cancel", cancelCases},
		{"retry", retryCases},
		{"release", releaseCases},
		{"renew", renewCases},
		{"expiry", expiryCases},
		{"tokens", tokenCases},
		{"minhold", minHoldCases},
		{"break", breakCases},
		{"list", listCases},
		{"keys", keyCases},
		{"close", closeCases},
		{"reopen", reopenCases},
		{"processes", processCases()},
		{"network", networkCases},
	}
	return all
}

// Run runs the suite: every case as a subtest GROUP/CASE of t. It returns when
// all are done, and logs what was run and what was skipped and why. The test t
// must not be parallel, for Run checks that no goroutine is left over.
func Run(t *testing.T, h Harness) {
	t.Helper()
	CheckLeaks(t, h.Goroutines...)
	run(t, h, func(string) bool { return true })
}

// run runs the cases whose name GROUP/CASE is wanted.
func run(t *testing.T, h Harness, wanted func(name string) bool) {
	t.Helper()
	if h.New == nil {
		t.Fatal("Harness.New is nil: there is no store to test")
	}
	s := &suite{harness: h, skipped: make(map[string]int)}
	for _, g := range groups() {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				if wanted(g.name + "/" + c.name) {
					t.Run(c.name, func(t *testing.T) { s.runCase(t, c) })
				}
			}
		})
	}
	t.Log(s.summary())
}

// A suite is one call of Run.
type suite struct {
	harness Harness

	mu      sync.Mutex
	ran     int
	skipped map[string]int // by reason
}

func (s *suite) runCase(t *testing.T, c testCase) {
	t.Parallel()
	store := s.harness.New(t, c.uses)
	if store.Open == nil || store.URL == "" {
		t.Fatal("Harness.New made a Store without Open or without URL: both are required")
	}
	w := newWorld(t, &s.harness, store, c.kind)
	for _, need := range c.needs {
		if !w.caps.Has(need) {
			s.skip(t, fmt.Sprintf("the store lacks %s (%s)", need, w.caps.Lacks[need]))
		}
	}
	if hook, reason, missing := s.harness.missing(t, &store, c.uses); missing {
		s.skip(t, fmt.Sprintf("the harness has no %s (%s)", hook, reason))
	}
	if _, nudger := w.client().(driver.Nudger); c.nudges && !nudger {
		s.skip(t, "the driver is no driver.Nudger (a holder hears of a break when it renews next)")
	}
	s.mu.Lock()
	s.ran++
	s.mu.Unlock()
	c.run(w)
}

func (s *suite) skip(t *testing.T, reason string) {
	t.Helper()
	s.mu.Lock()
	s.skipped[reason]++
	s.mu.Unlock()
	t.Skip(reason)
}

// summary is the last line of the log.
func (s *suite) summary() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(s.skipped)) {
		total += s.skipped[reason]
		reasons = append(reasons, fmt.Sprintf("%d because %s", s.skipped[reason], reason))
	}
	line := fmt.Sprintf("locktest: %d cases run, %d skipped", s.ran, total)
	if total > 0 {
		line += ": " + strings.Join(reasons, "; ")
	}
	return line
}

// times are the spans of time that cases work with.
type times struct {
	// short is a TTL that a case waits out.
	short time.Duration
	// kept is a TTL that a case renews in time even on a busy machine.
	kept time.Duration
	// long is a TTL that does not run out within a case.
	long time.Duration
	// slack bounds what should happen at once.
	slack time.Duration
	// glance is how long a case looks on to see that nothing happens.
	glance time.Duration
}

func newTimes(h *Harness, caps *driver.Capabilities) times {
	short := h.TTL
	if short <= 0 {
		short = max(defaultTTL, caps.MinTTL)
	}
	slack := h.Slack
	if slack <= 0 {
		slack = defaultSlack
	}
	long := 2 * time.Minute
	if caps.MaxTTL > 0 {
		long = min(long, caps.MaxTTL)
	}
	return times{short: short, kept: max(3*short, time.Second), long: long, slack: slack, glance: short / 4}
}

// drift is how much two clocks that run at the same speed may differ over d:
// the margin by which package stile ends a lease early.
func drift(d time.Duration) time.Duration { return d/100 + 2*time.Millisecond }
