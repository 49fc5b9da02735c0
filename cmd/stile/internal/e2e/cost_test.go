package e2e

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The figure is printed; the bound is loose, because the machine may be busy.
// A poll, of 25 ms or more, would not pass.
func TestHandOverToAnotherProcess(t *testing.T) {
	const rounds = 40
	const bound = 25 * time.Millisecond
	h := newHome(t)
	locks := h.locker()
	var own, handOvers []time.Duration
	for range rounds {
		began := time.Now()
		out, err := exec.Command("date", "+%s%N").Output()
		if err != nil {
			t.Fatal(err)
		}
		own = append(own, nanoTime(t, string(out)).Sub(began))

		lease, err := locks.Acquire(t.Context(), "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		next := h.stile("run", "k", "--", "date", "+%s%N").start()
		eventually(t, "the next to stand in line", func() bool {
			state, err := locks.Get(t.Context(), "k")
			return err == nil && len(state.Waiters) == 1
		})
		released := time.Now()
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status := next.wait(); status != 0 {
			t.Fatalf("exit status %d, stderr %q", status, next.stderr.String())
		}
		handOvers = append(handOvers, nanoTime(t, next.stdout.String()).Sub(released))
	}
	slices.Sort(own)
	slices.Sort(handOvers)
	ownMedian := own[rounds/2]
	median := handOvers[rounds/2] - ownMedian
	t.Logf("from the release to the command of a waiting stile run: median %v, p10 %v, p90 %v (less the command's own start, %v)",
		median, handOvers[rounds/10]-ownMedian, handOvers[rounds*9/10]-ownMedian, ownMedian)
	if median > bound {
		t.Errorf("median %v, want at most %v", median, bound)
	}
}

func nanoTime(t *testing.T, text string) time.Time {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, n)
}

// Fifty waiters use under 5 % of one core together. What they use is theirs,
// whatever else the machine does; but a kernel in a virtual machine counts for
// some of them what its host has taken away. They all do the same, so the
// median of them is what each takes.
func TestFiftyWaitersCostNextToNothing(t *testing.T) {
	const waiters = 50
	const span = 10 * time.Second
	h := newHome(t)
	locks := h.locker()
	lease, err := locks.Acquire(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	var processes []*process
	for range waiters {
		processes = append(processes, h.stile("run", "k", "--", "true").start())
	}
	eventually(t, "all to stand in line", func() bool {
		state, err := locks.Get(t.Context(), "k")
		return err == nil && len(state.Waiters) == waiters
	})
	var pids [][]int // of each waiter
	for _, p := range processes {
		family := append(childrenOf(p.cmd.Process.Pid), p.cmd.Process.Pid)
		if pids = append(pids, family); len(family) < 2 {
			t.Error("a waiter has no guard")
		}
	}
	<-time.After(time.Second) // What they do to start up is not waiting.
	measure := runTimes
	if !hasRunTimes() {
		measure = tickTimes
	}
	stolen, began := stolenTime(t), time.Now()
	var before []map[string]time.Duration
	for _, family := range pids {
		before = append(before, measure(t, family))
	}
	<-time.After(span)
	var used []time.Duration
	sum := time.Duration(0)
	for i, family := range pids {
		used = append(used, usedBetween(t, before[i], measure(t, family)))
		sum += used[i]
	}
	passed := time.Since(began)
	slices.Sort(used)
	median := used[waiters/2]
	if !hasRunTimes() {
		median = sum / waiters // There is no median of a few ticks.
	}
	share := 100 * waiters * median.Seconds() / passed.Seconds()
	t.Logf("%d waiters: %v of processor time in %v, the median %v: %.2f %% of one core; the host took %.0f %% of a core away",
		waiters, sum, passed, median, share, 100*(stolenTime(t)-stolen).Seconds()/passed.Seconds())
	if share >= 5 {
		t.Errorf("%.2f %% of one core, want less than 5", share)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		if status := p.wait(); status != 0 {
			t.Errorf("exit status %d, stderr %q", status, p.stderr.String())
		}
	}
}
