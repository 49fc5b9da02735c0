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
// whatever else the machine does; but a kernel in a virtual machine may count
// what its host has taken away as used, so that share is printed too.
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
	var pids []int
	for _, p := range processes {
		pids = append(append(pids, p.cmd.Process.Pid), childrenOf(p.cmd.Process.Pid)...)
	}
	if len(pids) < 2*waiters {
		t.Errorf("only %d processes: every waiter has a guard", len(pids))
	}
	<-time.After(time.Second) // What they do to start up is not waiting.
	measure, how := runTimes, "nanoseconds of each thread"
	if !hasRunTimes() {
		measure, how = tickTimes, "ticks of each process"
	}
	stolen, before, began := stolenTime(t), measure(t, pids), time.Now()
	<-time.After(span)
	after := measure(t, pids)
	passed := time.Since(began)
	used := usedBetween(t, before, after)
	share := 100 * used.Seconds() / passed.Seconds()
	t.Logf("%d waiters, %d processes: %v of processor time in %v, %.2f %% of one core (%s; the host took %.0f %% of a core away)",
		waiters, len(pids), used, passed, share, how, 100*(stolenTime(t)-stolen).Seconds()/passed.Seconds())
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
