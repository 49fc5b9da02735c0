package guard

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also the guard, the front and the commands of its tests:
// real processes, each in a role that its first argument names.
func TestMain(m *testing.M) {
	// A program with the race detector sleeps for a second before it exits.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	if IsGuard(os.Args) {
		os.Exit(Main(adoptFile))
	}
	roles := map[string]func(args []string){
		"role-front": frontRole, "role-beat": beatRole, "role-tree": treeRole, "role-orphan": orphanRole,
	}
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		roles[os.Args[1]](os.Args[2:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// testTTL is long enough for a loaded machine, and short enough to wait for.
const testTTL = 2 * time.Second

// A scenario is what a front is told to do, as JSON.
type scenario struct {
	Args      []string      // the command
	TTL       time.Duration // of the simulated lease, which is renewed at a third of it
	KillAfter time.Duration
	Renewals  int    // after so many the store is gone; negative: it never is
	Lose      bool   // then the lease is lost at once
	Keep      bool   // ask the guard to keep the lease when the command stops
	File      string // the store of a fileHold
}

// frontRole is a front: it renews a simulated lease, and prints what the guard
// tells as JSON lines. Signals that it gets it passes on.
func frontRole(args []string) {
	var s scenario
	if err := json.Unmarshal([]byte(args[0]), &s); err != nil {
		panic(err)
	}
	signals := make(chan os.Signal, 8)
	for _, sig := range []os.Signal{unix.SIGTERM, unix.SIGUSR1, unix.SIGTSTP} {
		if !IsIgnored(sig) {
			signal.Notify(signals, sig)
		}
	}
	g, err := New(os.Environ(), &Command{Path: s.Args[0], Args: s.Args, Env: os.Environ(), Rule: NewRule(s.TTL, s.KillAfter)})
	if err != nil {
		panic(err)
	}
	deadline := Now().Add(s.TTL)
	if err := g.Run(&Start{Env: []string{"STILE_TOKEN=7"}, Deadline: deadline, Store: s.File, Handle: "handle"}); err != nil {
		panic(err)
	}
	tell := json.NewEncoder(os.Stdout)
	_ = tell.Encode(Event{Kind: "guard", Pid: g.Pid()})
	_ = tell.Encode(Event{Kind: "deadline set", Deadline: deadline})
	renew := time.NewTicker(s.TTL / 3)
	defer renew.Stop()
	group := 0
	for {
		select {
		case e, ok := <-g.Events():
			if !ok {
				giveUp(g, group)
				return
			}
			_ = tell.Encode(e)
			switch e.Kind {
			case Started:
				group = e.Pid
			case Stopped:
				if s.Keep {
					_ = g.Keep()
				}
			case Exited, Failed, Gone:
				_ = g.Done()
				g.Close()
				return
			}
		case <-renew.C:
			switch {
			case s.Renewals == 0 && s.Lose:
				_ = g.Stop()
			case s.Renewals != 0:
				s.Renewals--
				deadline = Now().Add(s.TTL)
				_ = g.Extend(deadline)
				_ = tell.Encode(Event{Kind: "deadline set", Deadline: deadline})
			}
		case sig := <-signals:
			if sig == unix.SIGTSTP {
				giveUp(g, group)
				return
			}
			_ = g.Signal(sig.(syscall.Signal))
		}
	}
}

// giveUp ends a guard that is dead or frozen, and its command.
func giveUp(g *Guard, group int) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	alive := g.End(ctx, group)
	_ = json.NewEncoder(os.Stdout).Encode(Event{Kind: "guard lost", At: Now(), Survivors: alive})
}

// beatRole writes the time to a file every few milliseconds until it is ended.
// With "deaf" it does not listen to SIGTERM.
func beatRole(args []string) {
	if args[1] == "deaf" {
		signal.Ignore(unix.SIGTERM, unix.SIGHUP, unix.SIGINT)
	}
	file, err := os.Create(args[0])
	if err != nil {
		panic(err)
	}
	_ = os.WriteFile(args[0]+".pid", []byte(strconv.Itoa(os.Getpid())), 0o600)
	var word [8]byte
	for {
		binary.LittleEndian.PutUint64(word[:], uint64(Now())) //nolint:gosec // It counts from the start of the machine.
		_, _ = file.WriteAt(word[:], 0)
		pause(5 * time.Millisecond)
	}
}

// treeRole starts descendants that leave the command's group and session, and
// then beats itself.
func treeRole(args []string) {
	dir, deaf := args[0], args[1]
	for name, attr := range map[string]*syscall.SysProcAttr{
		"child": {}, "group": {Setpgid: true}, "session": {Setsid: true},
	} {
		startRole(attr, "role-beat", filepath.Join(dir, name), deaf)
	}
	double := startRole(&syscall.SysProcAttr{Setsid: true}, "role-orphan", filepath.Join(dir, "orphan"), deaf)
	_ = double.Wait()
	beatRole([]string{filepath.Join(dir, "command"), deaf})
}

// orphanRole starts a process and ends before it.
func orphanRole(args []string) { startRole(&syscall.SysProcAttr{Setsid: true}, "role-beat", args...) }

func startRole(attr *syscall.SysProcAttr, role string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{role}, args...)...)
	cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = attr, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	return cmd
}

// fileHold is a lease whose store is a file that says what happened to it.
type fileHold struct {
	file    string
	renewed chan struct{}
	quit    chan struct{}
	until   Instant
}

func adoptFile(_ context.Context, store, handle string) (Hold, error) {
	if store == "" {
		return nil, errors.New("the store is unavailable")
	}
	h := &fileHold{store, make(chan struct{}, 1), make(chan struct{}), Now().Add(testTTL)}
	return h, h.log("adopted " + handle)
}

func (h *fileHold) log(what string) error {
	file, err := os.OpenFile(h.file, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = fmt.Fprintln(file, what)
	return err
}

func (h *fileHold) Renewed() <-chan struct{}      { return h.renewed }
func (h *fileHold) Remaining() time.Duration      { return 24 * time.Hour }
func (h *fileHold) Done() <-chan struct{}         { return h.quit }
func (h *fileHold) Release(context.Context) error { return h.log("released") }
func (h *fileHold) Abandon()                      { _ = h.log("abandoned") }

// A front is a front process of a test, with all that it told.
type front struct {
	t      *testing.T
	cmd    *exec.Cmd
	events chan Event
	plain  chan string // lines that are no events: what the command printed
	last   Instant     // the latest deadline that it set
	guard  int
	told   []EventKind
}

func startFront(t *testing.T, s *scenario) *front {
	t.Helper()
	if s.TTL == 0 {
		s.TTL = testTTL
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{t: t, events: make(chan Event, 256), plain: make(chan string, 64)}
	f.cmd = exec.Command(os.Args[0], "role-front", string(text))
	f.cmd.Stderr = os.Stderr
	f.cmd.Stdin = strings.NewReader("from standard input")
	out, in, err := os.Pipe() // Not StdoutPipe: descendants keep it open, and Wait must not wait for them.
	if err != nil {
		t.Fatal(err)
	}
	f.cmd.Stdout = in
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(f.events)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var e Event
			if json.Unmarshal(lines.Bytes(), &e) == nil && e.Kind != "" {
				f.events <- e
			} else {
				f.plain <- lines.Text()
			}
		}
	}()
	t.Cleanup(func() {
		_ = f.cmd.Process.Kill() // Then the guard ends the command, and the pipe closes.
		_ = f.cmd.Process.Signal(unix.SIGCONT)
		_, _ = f.cmd.Process.Wait()
		_ = out.SetReadDeadline(time.Now().Add(20 * time.Second))
		<-read
		_ = out.Close()
	})
	return f
}

// wait returns the next event of a kind.
func (f *front) wait(want EventKind) Event {
	f.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case e, ok := <-f.events:
			if !ok {
				f.t.Fatalf("the front ended without %q; it told %v", want, f.told)
			}
			f.note(e)
			if e.Kind == want {
				return e
			}
		case <-timeout:
			f.t.Fatalf("no %q within 20 s; told so far: %v", want, f.told)
		}
	}
}

func (f *front) note(e Event) {
	switch e.Kind {
	case "deadline set":
		f.last = max(f.last, e.Deadline)
	case "guard":
		f.guard = e.Pid
	}
	f.told = append(f.told, e.Kind)
}

// drain notes what was told so far, without waiting.
func (f *front) drain() {
	for {
		select {
		case e, ok := <-f.events:
			if !ok {
				return
			}
			f.note(e)
		default:
			return
		}
	}
}

// end waits until every process that has the front's standard output open has
// ended: the front, its guard, and the command with its descendants.
func (f *front) end() {
	f.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case e, ok := <-f.events:
			if !ok {
				return
			}
			f.note(e)
		case <-timeout:
			f.t.Fatalf("some process lives on; told: %v", f.told)
		}
	}
}

// printed returns the next line that the command printed.
func (f *front) printed() string {
	f.t.Helper()
	select {
	case line := <-f.plain:
		return line
	case <-time.After(20 * time.Second):
		f.t.Fatalf("the command printed nothing within 20 s; told: %v", f.told)
		return ""
	}
}

// members are the processes of treeRole.
var members = []string{"command", "child", "group", "session", "orphan"}

// awaitTree waits until every process of a tree beats.
func awaitTree(t *testing.T, dir string) {
	t.Helper()
	for _, name := range members {
		waitUntil(t, name+" beats", func() bool { return lastBeat(t, dir, name) != 0 })
	}
}

// lastBeat reads when a process of a tree was last alive.
func lastBeat(t *testing.T, dir, name string) Instant {
	t.Helper()
	word, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) || len(word) == 0 {
		return 0
	}
	if err != nil || len(word) != 8 {
		t.Fatalf("read beat of %s: %v, %d bytes", name, err, len(word))
	}
	return Instant(binary.LittleEndian.Uint64(word)) //nolint:gosec // beatRole wrote it.
}

// checkGone fails for every process of a tree that was alive after the moment,
// or still is.
func checkGone(t *testing.T, dir string, by Instant) {
	t.Helper()
	for _, name := range members {
		if last := lastBeat(t, dir, name); last > by {
			t.Errorf("%s was alive %v after its time", name, last.Sub(by))
		} else {
			t.Logf("%s: last sign of life %v before its time", name, by.Sub(last))
		}
		if pid := pidOf(t, dir, name); unix.Kill(pid, 0) == nil && !isDead(pid) {
			t.Errorf("%s (pid %d) is still alive", name, pid)
		}
	}
}

func pidOf(t *testing.T, dir, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name+".pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// waitUntil polls for what a real process does, for a bounded time.
func waitUntil(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := Now().Add(20 * time.Second); !condition(); pause(2 * time.Millisecond) {
		if Now() > end {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func self(args ...string) []string { return append([]string{os.Args[0]}, args...) }
