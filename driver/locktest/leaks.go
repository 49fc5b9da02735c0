package locktest

import (
	"context"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

// leakPatience is how long goroutines may take to end.
const leakPatience = 5 * time.Second

// CheckLeaks fails the test if, when it and its subtests and its later
// cleanups are over, a goroutine runs that did not run at the call of CheckLeaks.
// Goroutines get some seconds to end; the check ends as soon as they have.
//
// Call it first thing in a test that does not run in parallel with others: their
// goroutines would be taken for leaks. Goroutines whose stack trace has one of
// the strings in ignore may stay.
func CheckLeaks(t testing.TB, ignore ...string) {
	t.Helper()
	before := make(map[string]bool)
	for _, g := range goroutines() {
		before[g.id] = true
	}
	t.Cleanup(func() {
		if left := waitForGoroutines(before, ignore, leakPatience); len(left) > 0 {
			t.Errorf("%d goroutines were started and have not ended after %v:\n\n%s", len(left), leakPatience, strings.Join(left, "\n\n"))
		}
	})
}

// waitForGoroutines returns the stacks of those who are neither in before nor
// to be ignored, once there are none or patience is over.
func waitForGoroutines(before map[string]bool, ignore []string, patience time.Duration) []string {
	deadline := time.Now().Add(patience)
	pause := time.Millisecond
	for {
		var left []string
		for _, g := range goroutines() {
			if !before[g.id] && !g.belongs(ignore) {
				left = append(left, g.stack)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		<-time.After(pause)
		pause = min(2*pause, 100*time.Millisecond)
	}
}

// A goroutine is one entry of a full stack dump.
type goroutine struct {
	id    string
	stack string
}

// ours are the goroutines of the test framework and of the runtime, which come
// and go as they like. They are known by a function at the root of the stack.
var ours = regexp.MustCompile(strings.Join([]string{
	`(?m)^testing\.\(\*T\)\.Run\(`,
	`^testing\.tRunner\(`,
	`^testing\.\(\*M\)\.`,
	`^testing\.runFuzz`,
	`^created by testing\.\(\*T\)\.Run`,
	`^created by os/signal\.Notify`,
	`^os/signal\.signal_recv\(`,
	`^runtime\.ensureSigM`,
}, "|"))

// belongs reports whether the goroutine may stay.
func (g *goroutine) belongs(ignore []string) bool {
	if ours.MatchString(g.stack) {
		return true
	}
	return slices.ContainsFunc(ignore, func(part string) bool { return strings.Contains(g.stack, part) })
}

// goroutines returns all goroutines but the caller's.
func goroutines() []goroutine {
	buffer := make([]byte, 1<<16)
	for {
		n := runtime.Stack(buffer, true)
		if n < len(buffer) {
			buffer = buffer[:n]
			break
		}
		buffer = make([]byte, 2*len(buffer))
	}
	var all []goroutine
	for _, stack := range strings.Split(strings.TrimSpace(string(buffer)), "\n\n")[1:] {
		header, _, _ := strings.Cut(stack, " [")
		all = append(all, goroutine{id: strings.TrimPrefix(header, "goroutine "), stack: stack})
	}
	return all
}

// leakCases are about what a client leaves behind in its process.
var leakCases = []testCase{
	{name: "closed_clients_leave_no_goroutines", run: closedClientsLeaveNothing},
}

// closedClientsLeaveNothing opens clients, has them do all they can, closes
// them, and counts what is left over of each round. What the first round
// leaves may be the process's; what every round leaves is a leak.
func closedClientsLeaveNothing(w *world) {
	const rounds = 5
	w.clientLife()
	before := make(map[string]bool)
	for _, g := range goroutines() {
		before[g.id] = true
	}
	for range rounds {
		w.clientLife()
	}
	left := waitForGoroutines(before, w.harness.Goroutines, leakPatience)
	if len(left) >= rounds {
		w.Fatalf("%d clients were closed and %d goroutines are left:\n\n%s", rounds, len(left), strings.Join(left, "\n\n"))
	}
}

// clientLife is a client's whole life.
func (w *world) clientLife() {
	w.Helper()
	ctx, cancel := w.bounded()
	defer cancel()
	d, err := w.store.Open(ctx)
	if err != nil {
		w.Fatalf("open a client: %v", err)
	}
	defer w.closeClient(d)
	held := w.acquire(d, w.request("k"))
	leaver := w.standBehind(d, w.request("k"))
	leaver.cancel()
	_ = leaver.failed()
	waiter := w.standBehind(d, w.request("k"))
	if nudger, ok := d.(driver.Nudger); ok {
		defer nudger.Nudge(held.hold(), func() {})()
	}
	w.mustRenew(held, w.long)
	w.mustRelease(held)
	w.mustRelease(waiter.granted())
	short, stop := context.WithTimeout(w.Context(), w.glance)
	defer stop()
	last := w.acquire(d, w.request("k"))
	timed := w.startWith(short, stop, d, w.request("k"))
	_ = timed.failed()
	w.mustBreak(d, last, driver.BreakNow)
	for _, err := range d.List(ctx, "") {
		if err != nil {
			w.Fatalf("List: %v", err)
		}
		break
	}
	if _, err := w.try(d, w.limited("k", 0)); err == nil {
		w.Fatal("a limit of 0 is granted")
	}
}
