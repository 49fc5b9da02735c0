package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stilelock/stile"
	_ "github.com/stilelock/stile/sqlitelock" // registers sqlite:
)

// stileBinary is the command, built once.
var stileBinary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stile-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	stileBinary = filepath.Join(dir, "stile")
	build := exec.Command("go", "build", "-o", stileBinary, "../..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the command: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience bounds every wait for something that must happen.
const patience = 60 * time.Second

// A home is a user's home directory, with a default store of its own.
type home struct {
	t   *testing.T
	dir string
}

func newHome(t *testing.T) *home {
	t.Helper()
	return &home{t: t, dir: t.TempDir()}
}

// store is the URL of the default store.
func (h *home) store() string { return "sqlite:" + h.path(".local/state/stile/locks.db") }

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

// stile prepares a run of the command in the home, with the default store.
func (h *home) stile(args ...string) *process {
	cmd := exec.Command(stileBinary, args...)
	cmd.Dir = h.dir
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		switch name {
		case "HOME", "XDG_STATE_HOME", "STILE_STORE":
		default:
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+h.dir)
	p := &process{t: h.t, cmd: cmd}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	// A grandchild that outlives the command must not hold up the test.
	cmd.WaitDelay = 5 * time.Second
	return p
}

// locker opens the default store in this process.
func (h *home) locker() *stile.Locker {
	h.t.Helper()
	locks, err := stile.Open(h.t.Context(), h.store())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = locks.Close() })
	return locks
}

func (h *home) read(name string) string {
	h.t.Helper()
	text, err := os.ReadFile(h.path(name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// A process is one run of the command.
type process struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer // whole only after wait
	waited         bool
	started        time.Time
}

func (p *process) start() *process {
	p.t.Helper()
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if !p.waited { // The test has failed; the guard ends the command.
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

// wait returns the exit status; 128+n if signal n ended the process itself.
func (p *process) wait() int {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	err := p.cmd.Wait()
	p.waited = true
	if !timer.Stop() {
		p.t.Errorf("%v had not ended after %v; stderr %q", p.cmd.Args, patience, p.stderr.String())
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		status := exit.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			return 128 + int(status.Signal())
		}
		return status.ExitStatus()
	default:
		p.t.Fatalf("wait for %v: %v", p.cmd.Args, err)
		return 0
	}
}

func (p *process) run() int { return p.start().wait() }

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("send %v: %v", sig, err)
	}
}

// fails checks for an exit status and one line on standard error.
func (p *process) fails(status int, says string) {
	p.t.Helper()
	got := p.run()
	text := p.stderr.String()
	if got != status || !strings.HasPrefix(text, "stile: ") || strings.Count(text, "\n") != 1 || !strings.Contains(text, says) {
		p.t.Errorf("%q: exit status %d, stderr %q; want %d and one line that says %q", p.cmd.Args[1:], got, text, status, says)
	}
}

// eventually waits until condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("%s: not within %v", what, patience)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// times reads a file of nanoseconds since 1970, one a line. A last line that
// is not whole, as its writer was killed, does not count.
func times(t *testing.T, path string) []int64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []int64
	for line := range strings.Lines(string(text)) {
		if n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64); err == nil && strings.HasSuffix(line, "\n") {
			all = append(all, n)
		}
	}
	return all
}
