package locktest_test

import (
	"strings"
	"testing"

	"github.com/stilelock/stile/driver/locktest"
)

// A recorder is a test whose cleanups and failures are looked at.
type recorder struct {
	testing.TB
	cleanups []func()
	failures []string
}

// Helper does nothing.
func (r *recorder) Helper() {}

// Cleanup keeps f for finish.
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

// Errorf notes a failure.
func (r *recorder) Errorf(format string, args ...any) {
	text := format
	for _, arg := range args {
		if s, ok := arg.(string); ok {
			text += " " + s
		}
	}
	r.failures = append(r.failures, text)
}

func (r *recorder) finish() {
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
}

func forgotten(stop <-chan struct{}) { <-stop }

func TestCheckLeaksNamesTheGoroutine(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	r := &recorder{TB: t}
	locktest.CheckLeaks(r)
	go forgotten(stop)
	r.finish()
	if len(r.failures) != 1 || !strings.Contains(r.failures[0], "forgotten") {
		t.Fatalf("a goroutine was left over and the check says %q", r.failures)
	}
}

func TestCheckLeaksWaitsForGoroutinesThatEnd(t *testing.T) {
	before, during := make(chan struct{}), make(chan struct{})
	go forgotten(before)
	defer close(before)
	r := &recorder{TB: t}
	locktest.CheckLeaks(r)
	go forgotten(during)
	r.Cleanup(func() { close(during) }) // It ends at about the time of the check.
	r.finish()
	if len(r.failures) != 0 {
		t.Fatalf("no goroutine was left over and the check says %q", r.failures)
	}
}

func TestCheckLeaksIgnoresWhatItIsTold(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	r := &recorder{TB: t}
	locktest.CheckLeaks(r, "locktest_test.forgotten")
	go forgotten(stop)
	r.finish()
	if len(r.failures) != 0 {
		t.Fatalf("only an ignored goroutine was left over and the check says %q", r.failures)
	}
}
