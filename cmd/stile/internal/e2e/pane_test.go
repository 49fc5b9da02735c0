package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A pane is a terminal with an interactive shell, as a person has it.
type pane struct {
	t      *testing.T
	socket string
}

// newPane starts a terminal in the home. The command is stile in it.
func newPane(t *testing.T, h *home) *pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Fatal("tmux is missing: install it; make test does")
	}
	dir, err := os.MkdirTemp("", "pane") //nolint:usetesting // A socket's path is bounded, and a test's own directory has a long one.
	if err != nil {
		t.Fatal(err)
	}
	p := &pane{t: t, socket: filepath.Join(dir, "s")}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the screen at the end:\n%s", p.screen())
		}
		_, _ = p.tmux("kill-server") // It has gone if the test ended its only pane.
		_ = os.RemoveAll(dir)
	})
	bin := h.path("bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(stileBinary, filepath.Join(bin, "stile")); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	shell := "env -u STILE_STORE -u XDG_STATE_HOME -u TMUX HOME=" + h.dir + " PATH=" + bin + ":$PATH PS1='>>' HISTFILE= bash --norc --noprofile -i"
	if out, err := p.tmux("-f", "/dev/null", "new-session", "-d", "-x", "200", "-y", "50", "-c", h.dir, shell); err != nil {
		t.Fatalf("start tmux: %v\n%s", err, out)
	}
	p.sees("(?m)^>>$")
	return p
}

func (p *pane) tmux(args ...string) (string, error) {
	out, err := exec.Command("tmux", append([]string{"-S", p.socket}, args...)...).CombinedOutput()
	return string(out), err
}

// types sends a line and Enter.
func (p *pane) types(line string) {
	p.t.Helper()
	if out, err := p.tmux("send-keys", "-l", line); err != nil {
		p.t.Fatalf("type %q: %v\n%s", line, err, out)
	}
	p.presses("Enter")
}

// presses sends keys by their tmux names: C-c, C-z, Enter, x.
func (p *pane) presses(keys ...string) {
	p.t.Helper()
	if out, err := p.tmux(append([]string{"send-keys"}, keys...)...); err != nil {
		p.t.Fatalf("press %v: %v\n%s", keys, err, out)
	}
}

func (p *pane) screen() string {
	out, err := p.tmux("capture-pane", "-p", "-S", "-200")
	if err != nil {
		return "no screen: " + out
	}
	return strings.TrimRight(out, "\n") + "\n"
}

// sees waits until the screen has a match of the pattern.
func (p *pane) sees(pattern string) string {
	p.t.Helper()
	expression := regexp.MustCompile(pattern)
	var screen string
	eventually(p.t, "the screen to show "+pattern, func() bool {
		screen = p.screen()
		return expression.MatchString(screen)
	})
	return screen
}

// clears empties the screen, so that what is seen next is new.
func (p *pane) clears() {
	p.t.Helper()
	p.types("clear; tmux_clear=1")
	eventually(p.t, "the screen to be empty", func() bool {
		_, _ = p.tmux("clear-history")
		return p.screen() == ">>\n"
	})
}

// status asks the shell for the exit status of the last command.
func (p *pane) status(want string) {
	p.t.Helper()
	p.types("echo status=$?.")
	p.sees("status=" + want + `\.`)
}
