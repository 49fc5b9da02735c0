package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hasRunTimes reports whether the kernel counts the run time of threads in
// nanoseconds. Where it does not, there is no such file, or only zeros in it.
func hasRunTimes() bool {
	ran, err := runTime("/proc/thread-self/schedstat")
	return err == nil && ran > 0
}

// runTime reads how long a thread has run.
func runTime(path string) (time.Duration, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return time.Duration(n), nil
}

// runTimes reads how long each thread of the processes has run.
func runTimes(t *testing.T, pids []int) map[string]time.Duration {
	t.Helper()
	times := make(map[string]time.Duration)
	for _, pid := range pids {
		paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil || len(paths) == 0 {
			t.Fatalf("process %d has no threads: %v", pid, err)
		}
		for _, path := range paths {
			if times[path], err = runTime(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	return times
}

// tickTimes reads how long each process has run, as sampled every 10 ms.
func tickTimes(t *testing.T, pids []int) map[string]time.Duration {
	t.Helper()
	times := make(map[string]time.Duration)
	for _, pid := range pids {
		s, err := statOf(pid)
		if err != nil {
			t.Fatal(err)
		}
		times[strconv.Itoa(pid)] = s.cpu
	}
	return times
}

// usedBetween sums up what has run since. A thread that is new has run since;
// of one that has ended nobody knows, and the sum would be too small.
func usedBetween(t *testing.T, before, after map[string]time.Duration) time.Duration {
	t.Helper()
	var sum time.Duration
	for of, ran := range after {
		sum += ran - before[of]
	}
	for of := range before {
		if _, there := after[of]; !there {
			t.Errorf("%s has ended while it was measured", of)
		}
	}
	return sum
}

// stolenTime is how long the host of a virtual machine has kept its processors
// from running; 0 where nobody counts it.
func stolenTime(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	const steal, ticksPerSecond = 8, 100 // cpu user nice system idle iowait irq softirq steal
	fields := strings.Fields(line)
	if len(fields) <= steal {
		return 0
	}
	ticks, err := strconv.ParseInt(fields[steal], 10, 64)
	if err != nil {
		t.Fatalf("read /proc/stat: %v", err)
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond
}
