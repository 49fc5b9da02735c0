package e2e

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stilelock/stile"
)

// editor is a program that takes the terminal over as an editor does: it turns
// echo and lines off, also after it was continued, reads single keys, and shows
// each in angle brackets. q ends it.
const editor = `echo ready; k=
while [ "$k" != q ]; do IFS= read -rsn1 -t 0.2 k && printf '<%s>' "$k"; done
echo; echo left`

// raw is a program that turns echo and lines off and has no time to turn them
// on again.
const raw = `stty -icanon -echo; echo ready; sleep 100`

// script writes a program into the home.
func (h *home) script(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(h.path(name), []byte("#!/bin/bash\n"+text+"\n"), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

// holders counts who holds the key.
func holders(t *testing.T, locks *stile.Locker, key string) int {
	t.Helper()
	state, err := locks.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return len(state.Holders)
}

// An editor works, Ctrl-Z and fg as in a shell; and the lease lives on while
// the job is stopped. The TTL is one that a machine which stands still for a
// second does not lose.
func TestEditorOnATerminal(t *testing.T) {
	h := newHome(t)
	h.script("editor", editor)
	p := newPane(t, h)
	p.types("stile run --ttl 5s k -- ./editor")
	p.sees("(?m)^ready$")
	p.presses("a")
	p.sees("<a>")
	locks := h.locker()
	before, err := locks.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"b", "c"} {
		p.presses("C-z")
		p.sees(`(?s)Stopped.*>>\n$`)
		// More than the TTL: without a renewal somebody else would be granted.
		stopped := time.Now()
		eventually(t, "time to pass", func() bool { return time.Since(stopped) > 6*time.Second })
		after, err := locks.Get(t.Context(), "k")
		if err != nil || len(after.Holders) != 1 || after.Holders[0].Token != before.Holders[0].Token {
			t.Errorf("the stopped job's lease: %+v, %v", after, err)
		}
		p.clears()
		p.types("fg")
		p.sees("(?m)^stile run") // Before, the shell may read ahead.
		p.presses(key)
		p.sees("<" + key + ">")
	}
	p.presses("q")
	p.sees("(?m)^left$")
	p.status("0")
	if n := holders(t, locks, "k"); n != 0 {
		t.Errorf("%d holders after the end", n)
	}
}

func TestCtrlC(t *testing.T) {
	for key, status := range map[string]string{"C-c": "130", `C-\`: "131"} {
		h := newHome(t)
		p := newPane(t, h)
		p.types(`stile run k -- sh -c 'echo go; sleep 100; echo not reached'`)
		p.sees("(?m)^go$")
		p.presses(key)
		p.status(status)
		if screen := p.screen(); strings.Contains(screen, "goroutine") || strings.Contains(screen, "\nnot reached") {
			t.Errorf("after %s:\n%s", key, screen)
		}
		if n := holders(t, h.locker(), "k"); n != 0 {
			t.Errorf("%d holders after %s", n, key)
		}
	}
}

// A command that handles Ctrl-C itself goes on, as in a shell.
func TestCtrlCIsTheCommandsOwn(t *testing.T) {
	h := newHome(t)
	h.script("loop", `n=0; trap 'n=$((n+1)); echo "caught $n"' INT; echo ready; while [ $n -lt 2 ]; do sleep 0.05; done; exit 4`)
	p := newPane(t, h)
	p.types("stile run k -- ./loop")
	p.sees("(?m)^ready$")
	p.presses("C-c")
	p.sees("caught 1")
	p.presses("C-c")
	p.sees("caught 2")
	p.status("4")
	if strings.Contains(p.screen(), "caught 3") {
		t.Error("one Ctrl-C arrived twice")
	}
}

func TestBackgroundAndForeground(t *testing.T) {
	h := newHome(t)
	h.script("ticks", `n=0; while :; do n=$((n+1)); echo $n >n; sleep 0.02; done`)
	p := newPane(t, h)
	p.types("stile run --ttl 5s k -- ./ticks")
	n := func() int {
		text, _ := os.ReadFile(h.path("n"))
		count, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return count
	}
	moves := func(what string) {
		t.Helper()
		from := n()
		eventually(t, what, func() bool { return n() > from+2 })
	}
	moves("the command to run")
	p.presses("C-z")
	p.sees(`(?s)Stopped.*>>\n$`)
	from := n()
	p.clears()
	if n() > from+1 {
		t.Error("the stopped command runs")
	}
	p.types("bg")
	moves("the command to run in the background")
	p.types("jobs")
	p.sees("Running")
	// The shell has the terminal: it answers.
	p.types("echo typed")
	p.sees("(?m)^typed$")
	p.types("fg")
	p.sees("(?s)fg\n.*stile run")
	moves("the command to run in the foreground")
	p.presses("C-c")
	p.status("130")
}

// A job in the background that wants to read is stopped, and gets the terminal
// with fg.
func TestBackgroundReader(t *testing.T) {
	h := newHome(t)
	h.script("reader", `read -r line; echo "got $line"`)
	p := newPane(t, h)
	p.types("stile run --ttl 5s k -- ./reader &")
	p.types("true")
	eventually(t, "the job to be stopped", func() bool {
		p.types("jobs")
		return strings.Contains(p.screen(), "Stopped")
	})
	p.clears()
	p.types("fg")
	p.sees("(?m)^stile run")
	p.types("words")
	p.sees("(?m)^got words$")
	p.status("0")
}

// In a pipeline the other side has the terminal: a pager reads its keys.
func TestPipeToPager(t *testing.T) {
	h := newHome(t)
	h.script("pager", `n=$(wc -l); echo "$n lines"; read -r key </dev/tty; echo "key $key"`)
	p := newPane(t, h)
	p.types("stile run k -- seq 1000 | ./pager")
	p.sees("(?m)^1000 lines$")
	p.types("q")
	p.sees("(?m)^key q$")
	p.clears()
	// Both run at once, and Ctrl-C reaches both.
	p.types(`stile run k -- sh -c 'echo go >&2; sleep 100' | cat; echo "all ${PIPESTATUS[*]}."`)
	p.sees("(?m)^go$")
	p.presses("C-c")
	p.status("130")
	if n := holders(t, h.locker(), "k"); n != 0 {
		t.Errorf("%d holders", n)
	}
}

// A command in a pipeline that wants the terminal all the same gets it when it
// asks.
func TestPipeAndTerminal(t *testing.T) {
	h := newHome(t)
	h.script("asks", `echo ready >&2; read -r line </dev/tty; echo "got $line"`)
	p := newPane(t, h)
	p.types("echo data | stile run k -- ./asks | cat")
	p.sees("(?m)^ready$") // Before, the shell may read ahead.
	p.types("words")
	p.sees("(?m)^got words$")
	p.status("0")
	p.types("echo still here")
	p.sees("(?m)^still here$")
}

// Ctrl-C ends a script as well, whether the command has asked for the terminal
// or not.
func TestCtrlCInAScript(t *testing.T) {
	for name, command := range map[string]string{
		"plain":    `sh -c 'echo go; sleep 100'`,
		"terminal": `sh -c 'stty -echo; stty echo; echo go; sleep 100'`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			h.script("job", "stile run k -- "+command+"\necho went on\nstile run k -- echo second")
			p := newPane(t, h)
			p.types("./job")
			p.sees("(?m)^go$")
			p.presses("C-c")
			p.status("130")
			if screen := p.screen(); strings.Contains(screen, "went on") {
				t.Errorf("the script went on:\n%s", screen)
			}
		})
	}
}

// A waiting run shows one live line, and Ctrl-C leaves the line.
func TestWaitingOnATerminal(t *testing.T) {
	h := newHome(t)
	locks := h.locker()
	lease, err := locks.Acquire(t.Context(), "k", &stile.Options{Owner: "db1:77 backup"})
	if err != nil {
		t.Fatal(err)
	}
	p, q := newPane(t, h), newPane(t, h)
	p.types("stile run k -- echo first")
	p.sees(`waiting for k: held by db1:77 backup since .*you are next`)
	q.types("stile run k -- echo second")
	q.sees(`held by db1:77 backup.*1 is ahead of you`)
	q.presses("C-c")
	q.status("130")
	state, err := locks.Get(t.Context(), "k")
	if err != nil || len(state.Waiters) != 1 {
		t.Errorf("the line after Ctrl-C: %+v, %v", state.Waiters, err)
	}
	// Stopped and continued, it still waits.
	p.presses("C-z")
	p.sees(`(?s)Stopped.*>>\n$`)
	p.clears()
	p.types("fg")
	p.sees("held by db1:77 backup")
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.sees("(?m)^first$")
	if screen := p.screen(); strings.Contains(screen, "waiting for") {
		t.Errorf("the live line is still there:\n%s", screen)
	}
	p.status("0")
}

// A command that is ended in raw mode leaves a terminal that works.
func TestTerminalAfterTheLeaseIsLost(t *testing.T) {
	h := newHome(t)
	h.script("raw", raw)
	p := newPane(t, h)
	p.types("stile run --ttl 2s k -- ./raw")
	p.sees("(?m)^ready$")
	locks := h.locker()
	state, err := locks.Get(t.Context(), "k")
	if err != nil || len(state.Holders) != 1 {
		t.Fatal(state, err)
	}
	if err := locks.Break(t.Context(), "k", state.Holders[0].ID, stile.BreakNow); err != nil {
		t.Fatal(err)
	}
	p.sees("stile: key \"k\": lease is lost.*the command was ended")
	p.status("71")
	p.types("stty -a | tr ';' '\\n' | grep -o -w -e '-*icanon' -e '-*echo' | sort | paste -sd,")
	p.sees("(?m)^echo,icanon$")
}

// The shell has its terminal back when `stile run` is killed.
func TestTerminalAfterTheFrontIsKilled(t *testing.T) {
	h := newHome(t)
	p := newPane(t, h)
	p.types(`stile run --ttl 2s k -- sh -c 'echo $PPID >guard; echo go; sleep 100'`)
	p.sees("(?m)^go$")
	guard, err := strconv.Atoi(strings.TrimSpace(h.read("guard")))
	if err != nil {
		t.Fatal(err)
	}
	s, err := statOf(guard)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.parent, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.sees("Killed")
	p.status("137")
	eventually(t, "the guard to end", func() bool { _, err := statOf(guard); return err != nil })
	if n := holders(t, h.locker(), "k"); n != 0 {
		t.Errorf("%d holders", n)
	}
}

// Consul #797, #1210: closing the terminal must leave nothing behind.
// (A shell that starts one command after the other may hang in vfork when Ctrl-Z
// hits between, with or without stile. So this one does not.)
func TestTerminalIsClosed(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		h := newHome(t)
		p := newPane(t, h)
		p.types(`stile run --ttl 2s k -- sh -c 'echo $$ >pid; echo $PPID >guard; echo go; sleep 100'`)
		p.sees("(?m)^go$")
		if stopped {
			p.presses("C-z")
			p.sees(`(?s)Stopped.*>>\n$`)
		}
		if out, err := p.tmux("kill-server"); err != nil {
			t.Fatalf("kill-server: %v\n%s", err, out)
		}
		for _, name := range []string{"pid", "guard"} {
			pid, err := strconv.Atoi(strings.TrimSpace(h.read(name)))
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, name+" to end", func() bool { _, err := statOf(pid); return err != nil })
		}
		locks := h.locker()
		eventually(t, "the key to be free", func() bool { return holders(t, locks, "k") == 0 })
	}
}
