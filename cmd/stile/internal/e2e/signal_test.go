package e2e

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stilelock/stile"
)

// Consul #4439: signals were ignored while waiting, so that a service manager's
// stop hung.
func TestSignalWhileWaiting(t *testing.T) {
	h := newHome(t)
	locks := h.locker()
	lease, err := locks.Acquire(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
		p := h.stile("run", "k", "--", "touch", "ran").start()
		eventually(t, "it to wait", func() bool {
			state, err := locks.Get(t.Context(), "k")
			return err == nil && len(state.Waiters) == 1
		})
		began := time.Now()
		p.signal(sig)
		if got := p.wait(); got != 128+int(sig) || p.stderr.Len() > 0 {
			t.Errorf("%v: exit status %d, stderr %q", sig, got, p.stderr.String())
		}
		t.Logf("%v: left the line in %v", sig, time.Since(began))
		state, err := locks.Get(t.Context(), "k")
		if err != nil || len(state.Waiters) != 0 {
			t.Errorf("%v: still in line: %+v, %v", sig, state.Waiters, err)
		}
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(h.path("ran")); err == nil {
		t.Error("the command ran")
	}
}

// Consul #797, #1210, etcdctl's swallowed SIGTERM: what the front gets the
// command gets, and nothing is left.
func TestSignalsReachTheCommand(t *testing.T) {
	h := newHome(t)
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM} {
		_ = os.Remove(h.path("pid"))
		// Not a trap that ends: what the signal does by default.
		p := h.stile("run", "k", "--", "sh", "-c", "sleep 60 & echo $! >pid; wait").start()
		eventually(t, "it to run", func() bool { text, _ := os.ReadFile(h.path("pid")); return strings.HasSuffix(string(text), "\n") })
		p.signal(sig)
		if got := p.wait(); got != 128+int(sig) || strings.Contains(p.stderr.String(), "goroutine") {
			t.Errorf("%v: exit status %d, stderr %q", sig, got, p.stderr.String())
		}
		if n := holders(t, h.locker(), "k"); n != 0 {
			t.Errorf("%v: %d holders", sig, n)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(h.read("pid")))
		if err != nil {
			t.Fatal(err)
		}
		// A shell's background job has SIGINT and SIGQUIT ignored; the others
		// have ended with their group.
		if sig == unix.SIGINT || sig == unix.SIGQUIT {
			_ = syscall.Kill(pid, unix.SIGKILL)
		}
		eventually(t, "the grandchild to end", func() bool { s, err := statOf(pid); return err != nil || s.state == 'Z' })
	}
}

// A command that handles the signal decides itself.
func TestCommandMayHandleSignals(t *testing.T) {
	h := newHome(t)
	p := h.stile("run", "k", "--", "sh", "-c", `trap 'echo term; touch term' TERM; trap 'echo hup; exit 9' HUP; touch on; while :; do sleep 0.02; done`).start()
	eventually(t, "it to run", func() bool { _, err := os.Stat(h.path("on")); return err == nil })
	p.signal(unix.SIGTERM)
	eventually(t, "it to hear SIGTERM", func() bool { _, err := os.Stat(h.path("term")); return err == nil })
	p.signal(unix.SIGHUP)
	if got := p.wait(); got != 9 || p.stdout.String() != "term\nhup\n" {
		t.Errorf("exit status %d, stdout %q", got, p.stdout.String())
	}
}

// Nohup's promise holds for the command, and a front in the background of a
// script ignores Ctrl-C as the shell asks.
func TestIgnoredSignalsStayIgnored(t *testing.T) {
	h := newHome(t)
	p := h.stile("run", "k", "--", "sh", "-c", "touch on; sleep 1; echo survived")
	p.cmd.Args = append([]string{"sh", "-c", `trap '' HUP INT; exec "$@"`, "sh", stileBinary}, p.cmd.Args[1:]...)
	p.cmd.Path = "/bin/sh"
	p.start()
	eventually(t, "it to run", func() bool { _, err := os.Stat(h.path("on")); return err == nil })
	for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT} {
		p.signal(sig)
	}
	if got := p.wait(); got != 0 || p.stdout.String() != "survived\n" {
		t.Errorf("exit status %d, stdout %q, stderr %q", got, p.stdout.String(), p.stderr.String())
	}
}

// startTree runs a command with a child and a grandchild that left the session,
// and waits until all of them work. See working.
func startTree(t *testing.T, h *home, flags ...string) (p *process, guard int) {
	t.Helper()
	args := append(append([]string{"run"}, flags...), "k", "--", "sh", "-c", working)
	p = h.stile(args...).start()
	for _, who := range []string{"command", "child", "stray"} {
		eventually(t, who+" to work", func() bool {
			info, err := os.Stat(h.path(who))
			return err == nil && info.Size() > 100
		})
	}
	guards := childrenOf(p.cmd.Process.Pid)
	if len(guards) != 1 {
		t.Fatalf("children of the front: %v", guards)
	}
	return p, guards[0]
}

// stoppedBy checks that none of the tree worked on after the moment.
func stoppedBy(t *testing.T, h *home, moment time.Time) {
	t.Helper()
	for _, who := range []string{"command", "child", "stray"} {
		beats := times(t, h.path(who))
		if spare := moment.UnixNano() - beats[len(beats)-1]; spare < 0 {
			t.Errorf("%s worked on for %v too long", who, -time.Duration(spare))
		} else {
			t.Logf("%s had stopped %v before its time", who, time.Duration(spare))
		}
	}
}

// Consul #9788: the child was killed 90 s after somebody else held the lock.
// Here the store answers nobody any more, and all is gone before the deadline.
func TestStoreThatHangs(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p, _ := startTree(t, h, "--ttl", "2s", "--kill-after", "400ms")
	unlock := h.blockWrites()
	blocked := time.Now()
	got := p.wait()
	stoppedBy(t, h, blocked.Add(2*time.Second)) // The last renewal was sent before.
	unlock()
	next := h.stile("run", "k", "--", "sh", "-c", entering).start()
	if text := p.stderr.String(); got != 71 || strings.Count(text, "\n") != 1 || !strings.Contains(text, "could not be renewed in time") {
		t.Errorf("exit status %d, stderr %q", got, text)
	}
	if status := next.wait(); status != 0 {
		t.Fatalf("the next: exit status %d, stderr %q", status, next.stderr.String())
	}
	stoppedBy(t, h, time.Unix(0, times(t, h.path("entered"))[0]))
}

// blockWrites takes the lock under which SQLite writes, as a process would that
// hangs in the middle of a transaction.
func (h *home) blockWrites() (unblock func()) {
	h.t.Helper()
	file, err := os.OpenFile(h.path(".local/state/stile/locks.db-shm"), os.O_RDWR, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = file.Close() })
	const writeLock = 120 // SQLite's WAL_WRITE_LOCK, in the WAL index.
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: writeLock, Len: 1}
	eventually(h.t, "a moment without a writer", func() bool { return unix.FcntlFlock(file.Fd(), unix.F_SETLK, &lock) == nil })
	return func() { _ = file.Close() }
}

// An operator breaks the lease: the command is told to end, and exits 71.
func TestBreak(t *testing.T) {
	t.Parallel()
	for _, how := range []stile.BreakHow{stile.BreakGently, stile.BreakNow} {
		h := newHome(t)
		p := h.stile("run", "--ttl", "10s", "k", "--", "sh", "-c", `trap 'echo told; exit 0' TERM; touch on; while :; do sleep 0.02; done`).start()
		eventually(t, "it to run", func() bool { _, err := os.Stat(h.path("on")); return err == nil })
		locks := h.locker()
		state, err := locks.Get(t.Context(), "k")
		if err != nil || len(state.Holders) != 1 {
			t.Fatal(state, err)
		}
		began := time.Now()
		if err := locks.Break(t.Context(), "k", state.Holders[0].ID, how); err != nil {
			t.Fatal(err)
		}
		got := p.wait()
		if text := p.stderr.String(); got != 71 || !strings.Contains(text, "lease is lost") || strings.Count(text, "stile: ") != 1 || p.stdout.String() != "told\n" {
			t.Errorf("%v: exit status %d, stdout %q, stderr %q", how, got, p.stdout.String(), text)
		}
		t.Logf("ended %v after the break", time.Since(began))
		if n := holders(t, locks, "k"); n != 0 {
			t.Errorf("%d holders though the old one has stopped", n)
		}
	}
}

// The guard is killed: the front ends what is left, and says so.
func TestGuardIsKilled(t *testing.T) {
	h := newHome(t)
	p, guard := startTree(t, h, "--ttl", "20s")
	killed := time.Now()
	if err := syscall.Kill(guard, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	got := p.wait()
	stoppedBy(t, h, killed.Add(2*time.Second))
	if text := p.stderr.String(); got != 71 || !strings.Contains(text, "guard") || strings.Count(text, "\n") != 1 {
		t.Errorf("exit status %d, stderr %q", got, text)
	}
	if n := holders(t, h.locker(), "k"); n != 0 {
		t.Errorf("%d holders", n)
	}
}

// The guard is killed while there is nothing to guard yet: another one starts.
func TestGuardIsKilledWhileWaiting(t *testing.T) {
	h := newHome(t)
	lease, err := h.locker().Acquire(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := h.stile("run", "k", "--", "echo", "ran").start()
	var guards []int
	eventually(t, "its guard to start", func() bool { guards = childrenOf(p.cmd.Process.Pid); return len(guards) == 1 })
	if err := syscall.Kill(guards[0], unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the guard to be dead", func() bool { s, err := statOf(guards[0]); return err != nil || s.state == 'Z' })
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := p.wait(); got != 0 || p.stdout.String() != "ran\n" {
		t.Errorf("exit status %d, stdout %q, stderr %q", got, p.stdout.String(), p.stderr.String())
	}
}

// The guard is frozen when it is needed: the front does its work in time.
func TestGuardIsFrozen(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p, guard := startTree(t, h, "--ttl", "2s", "--kill-after", "400ms")
	if err := syscall.Kill(guard, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	unlock := h.blockWrites()
	blocked := time.Now()
	eventually(t, "the tree to be dead", func() bool {
		for _, pid := range descendantsOf(guard) {
			if s, err := statOf(pid); err == nil && s.state != 'Z' {
				return false
			}
		}
		return true
	})
	stoppedBy(t, h, blocked.Add(2*time.Second))
	unlock()
	if got := p.wait(); got != 71 {
		t.Errorf("exit status %d, stderr %q", got, p.stderr.String())
	}
	eventually(t, "the guard to end", func() bool { s, err := statOf(guard); return err != nil || s.state == 'Z' })
}

func descendantsOf(pid int) []int {
	all := childrenOf(pid)
	for i := 0; i < len(all); i++ {
		all = append(all, childrenOf(all[i])...)
	}
	return all
}

// A front that was frozen while its command ended by itself, in time, has
// nothing to regret.
func TestFrozenFrontOfACommandThatEnded(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.stile("run", "--ttl", "2s", "k", "--", "sh", "-c", "touch on; sleep 0.3; touch off; exit 5").start()
	eventually(t, "it to run", func() bool { _, err := os.Stat(h.path("on")); return err == nil })
	p.signal(unix.SIGSTOP)
	eventually(t, "the command to end", func() bool { _, err := os.Stat(h.path("off")); return err == nil })
	frozen := time.Now()
	eventually(t, "the lease to expire", func() bool { return time.Since(frozen) > 2500*time.Millisecond })
	p.signal(unix.SIGCONT)
	if got := p.wait(); got != 5 {
		t.Errorf("exit status %d, stderr %q; want the command's own", got, p.stderr.String())
	}
}

// Killed while the guard had nothing to lose: a command that ignores SIGTERM
// is ended after kill-after, and the key passes on long before the TTL.
func TestKilledFrontPassesOnEarly(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p, _ := startTree(t, h, "--ttl", "30s", "--kill-after", "300ms")
	next := h.stile("run", "k", "--", "sh", "-c", entering).start()
	locks := h.locker()
	eventually(t, "the next to stand in line", func() bool {
		state, err := locks.Get(t.Context(), "k")
		return err == nil && len(state.Waiters) == 1
	})
	killed := time.Now()
	p.signal(unix.SIGKILL)
	if got := next.wait(); got != 0 {
		t.Fatalf("the next: exit status %d, stderr %q", got, next.stderr.String())
	}
	entered := time.Unix(0, times(t, h.path("entered"))[0])
	stoppedBy(t, h, entered)
	if took := entered.Sub(killed); took > 10*time.Second {
		t.Errorf("the key passed on only %v after the front was killed", took)
	}
	p.wait()
}

// Many signals at once while the lease comes and goes: no run is left, and
// each says how it ended.
func TestSignalStorm(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	var runs []*process
	for range 12 {
		runs = append(runs, h.stile("run", "--ttl", "5s", "k", "--", "sh", "-c", "sleep 0.05").start())
	}
	for i, p := range runs {
		if i%3 == 0 {
			_ = p.cmd.Process.Signal([]os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGKILL}[i/3%4])
		}
	}
	for i, p := range runs {
		got := p.wait()
		if text := p.stderr.String(); strings.Contains(text, "goroutine") || got != 0 && i%3 != 0 {
			t.Errorf("run %d: exit status %d, stderr %q", i, got, text)
		}
	}
	locks := h.locker()
	eventually(t, "the key to be free", func() bool { return holders(t, locks, "k") == 0 })
}
