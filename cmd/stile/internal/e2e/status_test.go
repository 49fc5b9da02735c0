package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile"
)

func TestExitStatusIsTheCommands(t *testing.T) {
	h := newHome(t)
	for script, want := range map[string]int{
		"exit 0": 0, "exit 1": 1, "exit 71": 71, "exit 255": 255,
		"kill -TERM $$": 143, "kill -KILL $$": 137, "kill -SEGV $$": 139, "kill -INT $$": 130, "kill -PIPE $$": 141,
	} {
		p := h.stile("run", "k", "--", "sh", "-c", script)
		if got := p.run(); got != want || p.stderr.Len() > 0 {
			t.Errorf("%s: exit status %d, stderr %q; want %d and nothing", script, got, p.stderr.String(), want)
		}
	}
}

func TestCommandThatCannotRun(t *testing.T) {
	h := newHome(t)
	if err := os.WriteFile(h.path("plain"), []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.path("noshell"), []byte("#!/no/such/shell\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.stile("run", "k", "--", "no-such-command").fails(127, "command not found")
	h.stile("run", "k", "--", "./missing").fails(127, "no such file")
	h.stile("run", "k", "--", "").fails(127, "not found")
	h.stile("run", "k", "--", "./plain").fails(126, "permission denied")
	h.stile("run", "k", "--", ".").fails(126, "folder")
	// Found only when it is executed: by then the key is held. It is released.
	h.stile("run", "k", "--", "./noshell").fails(126, "interpreter")
	if got := h.stile("run", "--wait", "0", "k", "--", "true").run(); got != 0 {
		t.Errorf("the key is still taken: exit status %d", got)
	}
	// Not found comes before standing in line.
	lease, err := h.locker().Acquire(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	h.stile("run", "k", "--", "no-such-command").fails(127, "command not found")
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Consul #1063: arguments of the command were eaten.
func TestArgumentsAreTheCommands(t *testing.T) {
	h := newHome(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "k", "--", "printf", "[%s]", "--ttl", "-x", "--", "a b", "", "$HOME", "*"}, "[--ttl][-x][--][a b][][$HOME][*]"},
		{[]string{"run", "--ttl", "5s", "k", "--", "sh", "-c", `echo "$@"`, "sh", "--help"}, "--help\n"},
		{[]string{"run", "k", "--ttl", "5s", "--", "sh", "-c", `echo "$@"`, "sh", "--version", "-v"}, "--version -v\n"},
		{[]string{"run", "--", "-k", "--", "sh", "-c", `echo "$STILE_KEY" "$@"`, "sh", "--"}, "-k --\n"},
		{[]string{"run", "k", "--", "printf", "a\xffb"}, "a\xffb"},
	} {
		p := h.stile(test.args...)
		if got := p.run(); got != 0 || p.stdout.String() != test.want {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want %q", test.args, got, p.stdout.String(), p.stderr.String(), test.want)
		}
	}
}

func TestWrongUsageOfRun(t *testing.T) {
	h := newHome(t)
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"run"}, "usage: stile run"},
		{[]string{"run", "k"}, "usage: stile run"},
		{[]string{"run", "k", "--"}, "no command"},
		{[]string{"run", "k", "echo", "hello"}, "put -- before the command: stile run [flags] k -- echo hello"},
		{[]string{"run", "--", "echo"}, "usage: stile run"},
		{[]string{"run", "a", "b", "--", "true"}, "one key"},
		{[]string{"run", "--no-such-flag", "k", "--", "true"}, "unknown flag"},
		{[]string{"run", "", "--", "true"}, "empty"},
		{[]string{"run", strings.Repeat("k", 513), "--", "true"}, "512"},
		{[]string{"run", "a\x1bb", "--", "true"}, "control character"},
		{[]string{"run", "a\xffb", "--", "true"}, "UTF-8"},
		{[]string{"run", "--ttl", "-5s", "k", "--", "true"}, "too short"},
		{[]string{"run", "--ttl", "0", "k", "--", "true"}, "too short"},
		{[]string{"run", "--ttl", "999ms", "k", "--", "true"}, "at least 1s"},
		{[]string{"run", "--ttl", "soon", "k", "--", "true"}, "soon"},
		{[]string{"run", "--ttl", "9000h", "k", "--", "true"}, "720h"},
		{[]string{"run", "--wait", "-1s", "k", "--", "true"}, "negative"},
		{[]string{"run", "--kill-after", "-1s", "k", "--", "true"}, "negative"},
		{[]string{"run", "--max-hold", "10ms", "k", "--", "true"}, "at least 1s"},
		{[]string{"run", "--limit", "0", "k", "--", "true"}, "at least 1"},
		{[]string{"run", "--shared", "--limit", "2", "k", "--", "true"}, "exclude"},
		{[]string{"run", "--on-busy", "dance", "k", "--", "true"}, "fail or skip"},
		{[]string{"run", "--busy-exit-code", "300", "k", "--", "true"}, "0 to 255"},
		{[]string{"run", "--quiet", "--verbose", "k", "--", "true"}, "exclude"},
		{[]string{"run", "--owner", strings.Repeat("o", 257), "k", "--", "true"}, "owner"},
		{[]string{"run", "--store", "consul://user:hunter2@host", "k", "--", "true"}, "known schemes: redis, redis+cluster, redis+sentinel, rediss, sqlite"},
		{[]string{"run", "--store", "sqlite:x.db?sync=off", "k", "--", "true"}, "sync"},
		{[]string{"run", "--store", "nonsense", "k", "--", "true"}, "scheme"},
		{[]string{"guard-of-stile-run"}, ""},
	} {
		p := h.stile(test.args...)
		if test.says == "" { // Nobody types it; it only must not hang or crash.
			if got := p.run(); got == 0 || strings.Contains(p.stderr.String(), "goroutine") {
				t.Errorf("%q: exit status %d, stderr %q", test.args, got, p.stderr.String())
			}
			continue
		}
		p.fails(64, test.says)
		if strings.Contains(p.stderr.String(), "hunter2") {
			t.Errorf("%q: a password on stderr: %q", test.args, p.stderr.String())
		}
	}
	if _, err := os.Stat(h.path("x.db")); err == nil {
		t.Error("a wrong URL made a file")
	}
}

func TestBusy(t *testing.T) {
	h := newHome(t)
	lease, err := h.locker().Acquire(t.Context(), "k", &stile.Options{Owner: "db1:77 backup"})
	if err != nil {
		t.Fatal(err)
	}
	const held = "held by db1:77 backup since"
	h.stile("run", "--wait", "0", "k", "--", "touch", "ran").fails(75, held)
	h.stile("run", "--wait", "200ms", "k", "--", "touch", "ran").fails(75, held)
	h.stile("run", "--wait", "0", "--busy-exit-code", "3", "k", "--", "touch", "ran").fails(3, held)
	for _, flags := range [][]string{{"--on-busy", "skip"}, {"--on-busy=skip", "--busy-exit-code", "3"}} {
		for _, wait := range []string{"0", "100ms"} {
			p := h.stile(slices.Concat([]string{"run", "--wait", wait}, flags, []string{"k", "--", "touch", "ran"})...)
			if got := p.run(); got != 0 || p.stderr.Len() > 0 {
				t.Errorf("%v: exit status %d, stderr %q", flags, got, p.stderr.String())
			}
		}
	}
	quiet := h.stile("run", "--quiet", "--wait", "0", "k", "--", "touch", "ran")
	if got := quiet.run(); got != 75 || quiet.stderr.Len() > 0 {
		t.Errorf("--quiet: exit status %d, stderr %q", got, quiet.stderr.String())
	}
	h.stile("run", "--limit", "3", "k", "--", "touch", "ran").fails(64, "limit 1, not 3")
	if _, err := os.Stat(h.path("ran")); err == nil {
		t.Error("the command ran without the key")
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.stile("run", "--wait", "0", "k", "--", "touch", "ran").run(); got != 0 {
		t.Errorf("the key is free: exit status %d", got)
	}
}

func TestVerboseTellsTheStory(t *testing.T) {
	h := newHome(t)
	lease, err := h.locker().Acquire(t.Context(), "k", &stile.Options{Owner: "db1:77 backup"})
	if err != nil {
		t.Fatal(err)
	}
	p := h.stile("run", "--verbose", "--ttl", "3s", "--kill-after", "10s", "k", "--", "true")
	p.start()
	locks := h.locker()
	eventually(t, "it to wait", func() bool {
		state, err := locks.Get(t.Context(), "k")
		return err == nil && len(state.Waiters) == 1
	})
	began := time.Now() // It looks at the line after a moment.
	eventually(t, "a moment to pass", func() bool { return time.Since(began) > time.Second })
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := p.wait(); got != 0 {
		t.Errorf("exit status %d", got)
	}
	want := []string{
		`--kill-after 10s is more than a third of the TTL: using 1s`,
		`waiting for k: held by db1:77 backup since .*; you are next`,
		`key "k" granted after .*: token \d+, lease [0-9a-f]{32}`,
		`key "k" released`,
	}
	lines := strings.Split(strings.TrimSpace(p.stderr.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("it said %d lines:\n%s", len(lines), p.stderr.String())
	}
	for i, pattern := range want {
		if !regexp.MustCompile("^stile: " + pattern + "$").MatchString(lines[i]) {
			t.Errorf("line %d: %q, want %s", i, lines[i], pattern)
		}
	}
}

// Etcdctl did not connect standard input. Here it is the command's, whole.
func TestStandardInput(t *testing.T) {
	h := newHome(t)
	data := strings.Repeat("0123456789abcdef", 1<<16)
	p := h.stile("run", "k", "--", "cat")
	p.cmd.Stdin = strings.NewReader(data)
	if got := p.run(); got != 0 || p.stdout.String() != data {
		t.Errorf("exit status %d, %d bytes of %d came through", got, p.stdout.Len(), len(data))
	}
}

// The command learns its lease, and nothing of the store: neither it nor the
// guard has the store's URL in its environment or arguments.
func TestEnvironment(t *testing.T) {
	h := newHome(t)
	const secret = "retention=61m7s"
	p := h.stile("run", "--ttl", "20s", "--owner", "me", "k/ü", "--", "sh", "-c", `env; echo "guard=$PPID"; tr '\0' '\n' </proc/$PPID/environ >guardenv; tr '\0' ' ' </proc/$PPID/cmdline >guardargs`)
	p.cmd.Env = append(p.cmd.Env, "STILE_STORE="+h.store()+"?"+secret, "MINE=a=b\nc")
	before := time.Now()
	if got := p.run(); got != 0 {
		t.Fatalf("exit status %d, stderr %q", got, p.stderr.String())
	}
	for _, text := range []string{p.stdout.String(), h.read("guardenv"), h.read("guardargs")} {
		if strings.Contains(text, "61m7s") || strings.Contains(text, "STILE_STORE") {
			t.Errorf("the store's URL got out:\n%s", text)
		}
	}
	find := func(pattern string) string {
		t.Helper()
		found := regexp.MustCompile("(?m)^" + pattern + "$").FindStringSubmatch(p.stdout.String())
		if found == nil {
			t.Fatalf("no %s in the environment:\n%s", pattern, p.stdout.String())
		}
		return found[len(found)-1]
	}
	find("STILE_KEY=k/ü")
	find("STILE_LEASE=[0-9a-f]{32}")
	find("MINE=a=b\nc")
	if token, err := strconv.ParseUint(find(`STILE_TOKEN=(\d+)`), 10, 64); err != nil || token == 0 {
		t.Errorf("token %d, %v", token, err)
	}
	deadline, err := time.Parse(time.RFC3339Nano, find("STILE_DEADLINE=(.*Z)"))
	if left := deadline.Sub(before); err != nil || left < 15*time.Second || left > 21*time.Second {
		t.Errorf("STILE_DEADLINE is %v after the start, %v", left, err)
	}
}

// Who else asks sees host, process and command.
func TestOwner(t *testing.T) {
	h := newHome(t)
	p := h.stile("run", "k", "--", "sh", "-c", "touch on; sleep 60").start()
	eventually(t, "it to run", func() bool { _, err := os.Stat(h.path("on")); return err == nil })
	state, err := h.locker().Get(t.Context(), "k")
	if err != nil || len(state.Holders) != 1 {
		t.Fatal(state, err)
	}
	host, err := os.Hostname()
	if want := fmt.Sprintf("%s:%d sh", host, p.cmd.Process.Pid); err != nil || state.Holders[0].Owner != want {
		t.Errorf("owner %q, want %q", state.Holders[0].Owner, want)
	}
	p.signal(15)
	if got := p.wait(); got != 143 {
		t.Errorf("exit status %d", got)
	}
}

func TestSharedAndLimit(t *testing.T) {
	h := newHome(t)
	// Each waits for the other: both must run at once.
	meet := func(mine, other string) []string {
		return []string{"--", "sh", "-c", "touch " + mine + "; for i in $(seq 500); do [ -e " + other + " ] && exit 0; sleep 0.02; done; exit 1"}
	}
	for name, flags := range map[string][]string{"s": {"--shared"}, "l": {"--limit", "2"}} {
		a := h.stile(slices.Concat([]string{"run"}, flags, []string{name}, meet(name+"1", name+"2"))...).start()
		b := h.stile(slices.Concat([]string{"run"}, flags, []string{name}, meet(name+"2", name+"1"))...).start()
		if x, y := a.wait(), b.wait(); x != 0 || y != 0 {
			t.Errorf("%v: exit status %d and %d: they did not run at once", flags, x, y)
		}
	}
}

func TestMinHold(t *testing.T) {
	h := newHome(t)
	if got := h.stile("run", "--min-hold", "30s", "k", "--", "true").run(); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	h.stile("run", "--wait", "0", "k", "--", "true").fails(75, "released")
}

func TestMaxHold(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	p := h.stile("run", "--max-hold", "1500ms", "k", "--", "sleep", "60")
	began := time.Now()
	p.fails(71, "its maximum hold of 1.5s is over; the command was ended")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Nothing of a run is left when it has ended.
func TestNothingIsLeft(t *testing.T) {
	h := newHome(t)
	p := h.stile("run", "k", "--", "sh", "-c", "echo $PPID")
	if got := p.run(); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	guard, err := strconv.Atoi(strings.TrimSpace(p.stdout.String()))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := statOf(guard); err == nil && s.state != 'Z' {
		t.Errorf("the guard lives on: %+v", s)
	}
	// A front that dies while it waits takes its guard with it.
	lease, err := h.locker().Acquire(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	waiter := h.stile("run", "k", "--", "true").start()
	var guards []int
	eventually(t, "its guard to start", func() bool {
		guards = childrenOf(waiter.cmd.Process.Pid)
		return len(guards) == 1
	})
	waiter.signal(9)
	waiter.wait()
	eventually(t, "its guard to end", func() bool {
		s, err := statOf(guards[0])
		return err != nil || s.state == 'Z'
	})
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(h.path(".local/state/stile/*wake*/*"))
	t.Logf("wake sockets left: %d, %v", len(left), err)
}
