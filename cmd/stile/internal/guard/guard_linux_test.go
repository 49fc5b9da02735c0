package guard

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const forever = -1 // renewals

func TestCommandEndsByItself(t *testing.T) {
	for _, test := range []struct {
		script string
		want   func(syscall.WaitStatus) bool
	}{
		{"exit 0", func(w syscall.WaitStatus) bool { return w.Exited() && w.ExitStatus() == 0 }},
		{"exit 37", func(w syscall.WaitStatus) bool { return w.Exited() && w.ExitStatus() == 37 }},
		{"kill -USR1 $$", func(w syscall.WaitStatus) bool { return w.Signaled() && w.Signal() == unix.SIGUSR1 }},
	} {
		f := startFront(t, &scenario{Args: []string{"/bin/sh", "-c", test.script}, Renewals: forever})
		f.wait(Started)
		if e := f.wait(Exited); !test.want(e.Wait) {
			t.Errorf("%s: wait status %#x", test.script, uint32(e.Wait))
		}
		f.end()
	}
}

// Standard input and what the lease adds to the environment arrive, and no
// other open file does.
func TestCommandFindsItsWorld(t *testing.T) {
	f := startFront(t, &scenario{
		Args:     []string{"/bin/sh", "-c", `read -r line; echo "$line|$STILE_TOKEN|$(cut -d' ' -f5 /proc/$$/stat)|$$"; ls /proc/$$/fd; echo end`},
		Renewals: forever,
	})
	started := f.wait(Started)
	if got, want := f.printed(), fmt.Sprintf("from standard input|7|%d|%d", started.Pid, started.Pid); got != want {
		t.Errorf("the command saw %q, want %q", got, want)
	}
	var got []string
	for line := f.printed(); line != "end"; line = f.printed() {
		got = append(got, line)
	}
	if !slices.Equal(got, []string{"0", "1", "2"}) {
		t.Errorf("the command inherited the files %v", got)
	}
	f.end()
}

// Arguments and environment are bytes, not text.
func TestCommandGetsBytes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seen")
	g, err := New(os.Environ(), &Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", `printf '%s|' "$A" "$@" >"$F"`, "sh", "a\xffb", "", "--", "-x", "two words"},
		Env: []string{"A=\xfe", "F=" + file}, Rule: NewRule(testTTL, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := g.Run(&Start{Deadline: Now().Add(testTTL)}); err != nil {
		t.Fatal(err)
	}
	for e := range g.Events() {
		if e.Kind == Exited || e.Kind == Gone {
			break
		}
	}
	got, err := os.ReadFile(file)
	if want := "\xfe|a\xffb||--|-x|two words|"; err != nil || string(got) != want {
		t.Errorf("the command saw %q, %v; want %q", got, err, want)
	}
}

// What a shell's nohup or & has ignored stays ignored, and what the guard
// catches for itself does not.
func TestIgnoredSignalsStayIgnored(t *testing.T) {
	text, err := json.Marshal(&scenario{Args: []string{"/bin/sh", "-c", "grep SigIgn /proc/$$/status"}, Renewals: forever, TTL: testTTL})
	if err != nil {
		t.Fatal(err)
	}
	bit := func(sig syscall.Signal) uint64 { return 1 << (sig - 1) }
	// The C library's own, which make hands on ignored to what it starts.
	library := bit(32) | bit(33)
	for trap, want := range map[string]uint64{
		"":                      0,
		"trap '' HUP;":          bit(unix.SIGHUP),
		"trap '' INT;":          bit(unix.SIGINT) | bit(unix.SIGQUIT),
		"trap '' HUP TSTP INT;": bit(unix.SIGHUP) | bit(unix.SIGTSTP) | bit(unix.SIGINT) | bit(unix.SIGQUIT),
	} {
		out, err := exec.Command("/bin/sh", "-c", trap+` exec "$0" role-front "$1"`, os.Args[0], string(text)).Output()
		if err != nil {
			t.Fatal(err)
		}
		_, set, found := strings.Cut(string(out), "SigIgn:\t")
		set, _, _ = strings.Cut(set, "\n")
		if got, err := strconv.ParseUint(set, 16, 64); !found || err != nil || got&^library != want {
			t.Errorf("%q: the command started with %q ignored, want %x", trap, set, want)
		}
	}
}

func TestCommandThatCannotStart(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"noexec": "\x00", "noshell": "#!/no/such/shell\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int{"missing": 127, "noexec": 126, "noshell": 126} {
		f := startFront(t, &scenario{Args: []string{filepath.Join(dir, name)}, Renewals: forever})
		if e := f.wait(Failed); e.Status != want || !strings.Contains(e.Text, name) {
			t.Errorf("%s: status %d, %q; want %d", name, e.Status, e.Text, want)
		}
		f.end()
	}
}

// Consul #2022: only the shell wrapper was killed. Here every descendant is
// gone before the deadline, wherever it went, deaf or not.
func TestTreeIsGoneBeforeDeadline(t *testing.T) {
	for _, ears := range []string{"deaf", "hears"} {
		t.Run(ears, func(t *testing.T) {
			dir := t.TempDir()
			f := startFront(t, &scenario{Args: self("role-tree", dir, ears), Renewals: 1, KillAfter: time.Second})
			f.wait(Started)
			awaitTree(t, dir)
			f.wait(Ending)
			gone := f.wait(Gone)
			f.end()
			if len(gone.Survivors) > 0 || gone.At > f.last {
				t.Errorf("gone %v after the deadline, survivors %v", gone.At.Sub(f.last), gone.Survivors)
			}
			checkGone(t, dir, f.last)
			if signal := gone.Wait.Signal(); ears == "deaf" && signal != unix.SIGKILL || ears == "hears" && signal != unix.SIGTERM {
				t.Errorf("the command was ended by %v", signal)
			}
			if !slices.Contains(f.told, "deadline set") {
				t.Error("the deadline was never moved on: the test proves nothing")
			}
		})
	}
}

// A lease that is lost, and not only about to be, leaves kill-after and no
// more.
func TestLostLeaseEndsCommand(t *testing.T) {
	dir := t.TempDir()
	f := startFront(t, &scenario{Args: self("role-tree", dir, "deaf"), Lose: true, TTL: 6 * time.Second, KillAfter: 300 * time.Millisecond})
	awaitTree(t, dir)
	begun := Now()
	f.wait(Ending)
	gone := f.wait(Gone)
	f.end()
	if gone.At > f.last.Add(-time.Second) {
		t.Errorf("gone %v after the loss, only %v before the deadline", gone.At.Sub(begun), f.last.Sub(gone.At))
	}
	checkGone(t, dir, gone.At)
}

// Consul #797, #1210: orphans when the front was killed.
func TestFrontKilled(t *testing.T) {
	for _, ears := range []string{"deaf", "hears"} {
		t.Run(ears, func(t *testing.T) {
			dir, file := t.TempDir(), filepath.Join(t.TempDir(), "hold")
			f := startFront(t, &scenario{
				Args: self("role-tree", dir, ears), Renewals: forever, TTL: 6 * time.Second, KillAfter: time.Second, File: file,
			})
			f.wait(Started)
			awaitTree(t, dir)
			killed := Now()
			if err := f.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			f.end()
			if f.last < killed.Add(3*time.Second) {
				t.Fatal("the deadline was too near: the test proves nothing")
			}
			checkGone(t, dir, killed.Add(2*time.Second)) // Kill-after, and time for a loaded machine.
			checkHold(t, file, "adopted handle\nreleased\n")
		})
	}
}

// A front that is frozen does not know what happens. The guard keeps the
// deadline alone.
func TestFrontFrozen(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "hold")
	f := startFront(t, &scenario{Args: self("role-tree", dir, "deaf"), Renewals: forever, KillAfter: time.Second, File: file})
	f.wait(Started)
	awaitTree(t, dir)
	if err := f.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, name := range members {
		waitUntil(t, name+" is gone", func() bool { return unix.Kill(pidOf(t, dir, name), 0) != nil })
	}
	f.drain() // The front is frozen: its last deadline is the one that counts.
	checkGone(t, dir, f.last)
	if err := f.cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	f.wait(Gone)
	f.end()
	checkHold(t, file, "") // The lease is the front's to release: it lives.
}

// The guard is killed: the front does its work.
func TestGuardKilled(t *testing.T) {
	dir := t.TempDir()
	f := startFront(t, &scenario{Args: self("role-tree", dir, "deaf"), Renewals: forever, TTL: 6 * time.Second})
	f.wait(Started)
	awaitTree(t, dir)
	killed := Now()
	if err := unix.Kill(f.guard, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e := f.wait("guard lost"); len(e.Survivors) > 0 {
		t.Errorf("survivors %v", e.Survivors)
	}
	f.end()
	checkGone(t, dir, killed.Add(time.Second))
}

// Signals that are meant for the others leave the guard alone.
func TestGuardShrugsSignalsOff(t *testing.T) {
	f := startFront(t, &scenario{Args: []string{"/bin/sh", "-c", "sleep 0.5; exit 5"}, Renewals: forever})
	f.wait(Started)
	for _, sig := range shielded {
		if err := unix.Kill(f.guard, sig.(syscall.Signal)); err != nil {
			t.Fatal(err)
		}
	}
	if e := f.wait(Exited); e.Wait.ExitStatus() != 5 {
		t.Errorf("wait status %#x", uint32(e.Wait))
	}
	f.end()
}

// Etcdctl's deaf child: a signal to the front reaches the command.
func TestSignalsArePassedOn(t *testing.T) {
	f := startFront(t, &scenario{
		Args:     []string{"/bin/sh", "-c", `trap 'echo usr1' USR1; trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.05; done`},
		Renewals: forever,
	})
	if got := f.printed(); got != "ready" {
		t.Fatalf("got %q", got)
	}
	for _, step := range []struct {
		signal syscall.Signal
		want   string
	}{{unix.SIGUSR1, "usr1"}, {unix.SIGTERM, "term"}} {
		if err := f.cmd.Process.Signal(step.signal); err != nil {
			t.Fatal(err)
		}
		if got := f.printed(); got != step.want {
			t.Errorf("after %v the command printed %q", step.signal, got)
		}
	}
	if e := f.wait(Exited); e.Wait.ExitStatus() != 9 {
		t.Errorf("wait status %#x", uint32(e.Wait))
	}
	f.end()
}

// A command that job control has stopped keeps its lease, through the guard;
// when the front dies then, all ends and the key is passed on.
func TestStoppedCommandKeepsLease(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "hold")
	f := startFront(t, &scenario{Args: self("role-tree", dir, "hears"), KillAfter: time.Second, Keep: true, File: file})
	started := f.wait(Started)
	awaitTree(t, dir)
	if err := unix.Kill(started.Pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if e := f.wait(Stopped); e.Signal != unix.SIGSTOP {
		t.Errorf("stopped by %v", e.Signal)
	}
	if e := f.wait(Kept); e.Text != "" || e.Deadline < f.last.Add(time.Hour) {
		t.Errorf("kept: %q, until %v", e.Text, e.Deadline)
	}
	checkHold(t, file, "adopted handle\n")
	// The front renews nothing: without the guard this would be the end.
	for end := f.last.Add(100 * time.Millisecond); Now() < end; {
		pause(10 * time.Millisecond)
	}
	if err := unix.Kill(pidOf(t, dir, "session"), 0); err != nil {
		t.Errorf("the command was ended though the guard kept its lease: %v", err)
	}
	if err := f.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	f.end()
	checkHold(t, file, "adopted handle\nreleased\n")
}

// A lease that the guard cannot keep is said, and ends at its deadline. A
// stopped command is woken up for its SIGTERM.
func TestStoppedCommandWithoutStore(t *testing.T) {
	f := startFront(t, &scenario{
		Args: []string{"/bin/sh", "-c", `trap 'echo term; exit 0' TERM; kill -STOP $$; while :; do sleep 0.05; done`},
		Keep: true, KillAfter: 600 * time.Millisecond,
	})
	if e := f.wait(Kept); e.Text == "" {
		t.Error("the guard says that it keeps a lease of no store")
	}
	gone := f.wait(Gone)
	f.end()
	if got := f.printed(); got != "term" {
		t.Errorf("the command printed %q", got)
	}
	if gone.At > f.last {
		t.Errorf("gone %v after the deadline", gone.At.Sub(f.last))
	}
}

// What a command leaves behind when it ends by itself is its own business.
func TestBackgroundIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	f := startFront(t, &scenario{Args: self("role-orphan", filepath.Join(dir, "left"), "hears"), Renewals: forever})
	if e := f.wait(Exited); e.Wait.ExitStatus() != 0 {
		t.Errorf("wait status %#x", uint32(e.Wait))
	}
	_, _ = f.cmd.Process.Wait()
	first := lastBeat(t, dir, "left")
	waitUntil(t, "it lives on", func() bool { return lastBeat(t, dir, "left") > first })
	waitUntil(t, "the guard is gone", func() bool { return unix.Kill(f.guard, 0) != nil })
	if err := unix.Kill(pidOf(t, dir, "left"), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.end()
}

// A guard whose front dies before it has anything to watch ends.
func TestIdleGuardEnds(t *testing.T) {
	g, err := New(os.Environ(), &Command{Path: "/bin/true", Args: []string{"true"}, Rule: NewRule(testTTL, 0)})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	g.Close()
	if took := time.Since(begun); took > leavePatience {
		t.Errorf("the guard had to be killed, after %v", took)
	}
}

// A guard that is frozen is the front's to replace.
func TestGuardFrozen(t *testing.T) {
	dir := t.TempDir()
	f := startFront(t, &scenario{Args: self("role-tree", dir, "deaf"), Renewals: forever, TTL: 6 * time.Second})
	f.wait(Started)
	awaitTree(t, dir)
	if err := unix.Kill(f.guard, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Process.Signal(unix.SIGTSTP); err != nil { // To the front this is the sign to give up on its guard.
		t.Fatal(err)
	}
	if e := f.wait("guard lost"); len(e.Survivors) > 0 {
		t.Errorf("survivors %v", e.Survivors)
	}
	f.end()
	checkGone(t, dir, f.last)
}

// A command that forks as fast as it can is caught up with.
func TestForkStorm(t *testing.T) {
	f := startFront(t, &scenario{
		// Each generation starts the next in a new session and ends.
		Args:     []string{"/bin/sh", "-c", `trap '' TERM; run() { (trap '' TERM; setsid /bin/sh -c "$1" sh "$1") & }; s='(setsid /bin/sh -c "$1" sh "$1" &) ; exit 0'; run "$s"; run "$s"; run "$s"; while :; do sleep 1; done`},
		Renewals: 0, KillAfter: 500 * time.Millisecond,
	})
	gone := f.wait(Gone)
	f.end()
	if len(gone.Survivors) > 0 || gone.At > f.last {
		t.Errorf("gone %v after the deadline, survivors %v", gone.At.Sub(f.last), gone.Survivors)
	}
}

func checkHold(t *testing.T, file, want string) {
	t.Helper()
	got, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("the lease in the store: %q, want %q", got, want)
	}
}
