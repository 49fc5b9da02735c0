package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// startPatience bounds the start of a server, and its end.
const startPatience = 20 * time.Second

// errExited: the server ended instead of starting.
var errExited = errors.New("redis-server ended at its start")

// A process is one redis-server with its folder, which outlives it.
type process struct {
	dir  string
	args []string // of redis-server

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{} // closed when cmd has been waited for
}

func (p *process) socket() string  { return filepath.Join(p.dir, "s") }
func (p *process) logFile() string { return filepath.Join(p.dir, "log") }

// launch starts the program and does not wait until it serves.
func (p *process) launch() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return errors.New("start redis-server: it runs already")
	}
	_ = os.Remove(p.socket())
	log, err := os.OpenFile(p.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	defer func() { _ = log.Close() }()             // The process has it open by itself.
	cmd := exec.Command("redis-server", p.args...) //nolint:noctx // It ends by end, which says how, and with the test process.
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = p.dir, log, log, dieWithParent()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start redis-server (on Debian it is in the package redis-server): %w", err)
	}
	gone := make(chan struct{})
	p.cmd, p.gone = cmd, gone
	go func() {
		_ = cmd.Wait() // How it ended is in its log.
		close(gone)
	}()
	return nil
}

// ready waits until answers is true, for a process that was launched.
func (p *process) ready(answers func() bool) error {
	p.mu.Lock()
	gone := p.gone
	p.mu.Unlock()
	deadline := time.After(startPatience)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if answers() {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-gone:
			return fmt.Errorf("%w:\n%s", errExited, p.logTail())
		case <-deadline:
			return fmt.Errorf("redis-server does not serve after %v:\n%s", startPatience, p.logTail())
		}
	}
}

// end ends the process by sig and returns when it is gone. It is no error if
// it does not run.
func (p *process) end(sig os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end redis-server: %w", err)
	}
	select {
	case <-p.gone:
	case <-time.After(startPatience):
		return fmt.Errorf("redis-server has not ended after %v:\n%s", startPatience, p.logTail())
	}
	p.cmd = nil
	return nil
}

// signal sends sig to the process if it runs.
func (p *process) signal(sig os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return errors.New("signal redis-server: it does not run")
	}
	return p.cmd.Process.Signal(sig)
}

// logTail returns the last lines of the log.
func (p *process) logTail() string {
	text, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-40):], []byte("\n")))
}

// showLog logs the end of the log if the test has failed.
func (p *process) showLog(t testing.TB, name string) {
	t.Helper()
	if t.Failed() {
		t.Logf("the log of %s ends with:\n%s", name, p.logTail())
	}
}

// discard ends the process at once and removes its folder.
func (p *process) discard() error {
	return errors.Join(p.end(os.Kill), os.RemoveAll(p.dir))
}

// newDir makes a folder for one server. It is not t.TempDir, whose path is
// often longer than the 107 bytes that a unix socket may have.
func newDir() (string, error) {
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		return "", fmt.Errorf("make a folder for redis-server: %w", err)
	}
	return dir, nil
}

// configFile writes lines as the configuration file of the server in dir.
func configFile(dir string, lines []string) (path string, err error) {
	path = filepath.Join(dir, "redis.conf")
	text := strings.Join(slices.Concat(lines, []string{""}), "\n")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("configure redis-server: %w", err)
	}
	return path, nil
}
