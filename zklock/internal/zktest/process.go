package zktest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// startPatience bounds the start of a server, and its end. A Java process on a
// busy machine takes seconds.
const startPatience = 60 * time.Second

// Jar is the library of Debian's package zookeeper. It names all that it needs.
const Jar = "/usr/share/java/zookeeper.jar"

// logJar writes what the server logs to its standard error. Debian's package
// zookeeper brings it.
const logJar = "/usr/share/java/slf4j-simple.jar"

// tlsJars are what a server needs for TLS, and Debian's [Jar] does not name.
const tlsJars = "/usr/share/java/netty-codec.jar:/usr/share/java/netty-resolver.jar:/usr/share/java/netty-transport-native-unix-common.jar"

var errExited = errors.New("zookeeper ended at its start")

// A process is one server with its folder, which outlives it.
type process struct {
	dir  string
	args []string // of java

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{} // closed when cmd has been waited for
}

func (p *process) logFile() string { return filepath.Join(p.dir, "log") }

func (p *process) launch() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return errors.New("start zookeeper: it runs already")
	}
	if _, err := os.Stat(Jar); err != nil {
		return fmt.Errorf("start zookeeper: install Debian's package zookeeper: %w", err)
	}
	log, err := os.OpenFile(p.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start zookeeper: %w", err)
	}
	defer func() { _ = log.Close() }()     // The process has it open by itself.
	cmd := exec.Command("java", p.args...) //nolint:noctx // It ends by end, which says how, and with the test process.
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = p.dir, log, log, dieWithParent()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start zookeeper (it needs java, on Debian default-jre-headless): %w", err)
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
	for !answers() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-gone:
			return fmt.Errorf("%w:\n%s", errExited, p.logTail())
		case <-deadline:
			return fmt.Errorf("zookeeper does not serve after %v:\n%s", startPatience, p.logTail())
		}
	}
	return nil
}

// kill ends the process at once and returns when it is gone.
func (p *process) kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end zookeeper: %w", err)
	}
	select {
	case <-p.gone:
	case <-time.After(startPatience):
		return fmt.Errorf("zookeeper has not ended after %v", startPatience)
	}
	p.cmd = nil
	return nil
}

func (p *process) signal(sig os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return errors.New("signal zookeeper: it does not run")
	}
	return p.cmd.Process.Signal(sig)
}

func (p *process) logTail() string {
	text, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-40):], []byte("\n")))
}

func (p *process) showLog(t testing.TB, name string) {
	t.Helper()
	if t.Failed() {
		t.Logf("the log of %s ends with:\n%s", name, p.logTail())
	}
}

func (p *process) discard() error { return errors.Join(p.kill(), os.RemoveAll(p.dir)) }

// newDir makes a folder for one server, in memory if there is room.
func newDir() (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "zookeeper"); err == nil {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "zookeeper")
	if err != nil {
		return "", fmt.Errorf("make a folder for zookeeper: %w", err)
	}
	return dir, nil
}
