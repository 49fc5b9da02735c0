package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile"
	_ "github.com/stilelock/stile/memlock" // registers mem:, so that the tests can share a store with the command
)

// A call is one run of the command line in this process.
type call struct {
	status         int
	stdout, stderr string
}

// storeOf returns the URL of a store in memory of this test's own, and a locker
// over it.
func storeOf(t *testing.T) (storeURL string, locks *stile.Locker) {
	t.Helper()
	storeURL = "mem:" + t.Name()
	locks, err := stile.Open(t.Context(), storeURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = locks.Close() })
	return storeURL, locks
}

// stileIn runs the command line with an environment in which STILE_STORE names
// the store.
func stileIn(storeURL string, args ...string) call {
	var stdout, stderr bytes.Buffer
	status := Main(args, &stdout, &stderr, func(name string) string {
		if name == storeVariable {
			return storeURL
		}
		return ""
	})
	return call{status, stdout.String(), stderr.String()}
}

// fails checks for the status, and for one line on standard error that says
// what is wrong.
func (c call) fails(t *testing.T, status int, says string) {
	t.Helper()
	if c.status != status {
		t.Errorf("exit status %d, want %d; stderr %q", c.status, status, c.stderr)
	}
	if !strings.HasPrefix(c.stderr, "stile: ") || strings.Count(c.stderr, "\n") != 1 || !strings.Contains(c.stderr, says) {
		t.Errorf("stderr %q, want one line that says %q", c.stderr, says)
	}
	if c.stdout != "" {
		t.Errorf("stdout %q of a call that failed", c.stdout)
	}
}

func (c call) succeeds(t *testing.T) {
	t.Helper()
	if c.status != exitOK || c.stderr != "" {
		t.Fatalf("exit status %d, stderr %q", c.status, c.stderr)
	}
}

// line holds a key and lets others wait for it. Everything ends with the test.
func line(t *testing.T, locks *stile.Locker, key string, waiters ...string) *stile.Lease {
	t.Helper()
	lease, err := locks.Acquire(t.Context(), key, &stile.Options{Owner: "host1:1 holder", Metadata: map[string]string{"job": "nightly"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, owner := range waiters {
		go func() { _, _ = locks.Acquire(t.Context(), key, &stile.Options{Owner: owner}) }()
		waitFor(t, func() bool {
			state, err := locks.Get(t.Context(), key)
			return err == nil && len(state.Waiters) == i+1
		})
	}
	return lease
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !condition() {
		select {
		case <-deadline:
			t.Fatal("it did not happen within 10 s")
		case <-time.After(time.Millisecond):
		}
	}
}

// The JSON is part of the command's contract, names and all.
func TestJSONOfAKey(t *testing.T) {
	storeURL, locks := storeOf(t)
	lease := line(t, locks, "orders/42", "host2:2 first", "host3:3 second")
	for _, args := range [][]string{{"show", "orders/42", "--json"}, {"ls", "--json"}, {"ls", "orders/", "--json"}} {
		got := stileIn(storeURL, args...)
		got.succeeds(t)
		var key map[string]any
		if args[0] == "ls" {
			var keys []map[string]any
			if err := json.Unmarshal([]byte(got.stdout), &keys); err != nil || len(keys) != 1 {
				t.Fatalf("%v prints %q, want an array of one: %v", args, got.stdout, err)
			}
			key = keys[0]
		} else if err := json.Unmarshal([]byte(got.stdout), &key); err != nil {
			t.Fatalf("%v prints %q: %v", args, got.stdout, err)
		}
		holder := key["holders"].([]any)[0].(map[string]any)
		waiters := key["waiters"].([]any)
		if key["key"] != "orders/42" || key["limit"] != 1.0 ||
			holder["id"] != lease.ID().String() || holder["owner"] != "host1:1 holder" || holder["mode"] != "exclusive" ||
			holder["token"] != fmt.Sprint(lease.Token()) || holder["metadata"].(map[string]any)["job"] != "nightly" ||
			len(waiters) != 2 || waiters[0].(map[string]any)["owner"] != "host2:2 first" {
			t.Errorf("%v prints %s", args, got.stdout)
		}
		for _, name := range []string{"since", "expires"} {
			if _, err := time.Parse(time.RFC3339Nano, holder[name].(string)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestListOfAnEmptyStore(t *testing.T) {
	storeURL, _ := storeOf(t)
	if got := stileIn(storeURL, "ls", "--json"); got.stdout != "[]\n" {
		t.Errorf("ls --json prints %q, want an empty array", got.stdout)
	}
	if got := stileIn(storeURL, "ls"); got.stdout != "" || got.status != exitOK {
		t.Errorf("ls prints %q, exits %d", got.stdout, got.status)
	}
	if got := stileIn(storeURL, "show", "k"); got.stdout != "k\n  free\n" || got.status != exitOK {
		t.Errorf("show prints %q, exits %d", got.stdout, got.status)
	}
}

func TestTextForPeople(t *testing.T) {
	storeURL, locks := storeOf(t)
	lease := line(t, locks, "orders/42", "host2:2 \x1b[31mred")
	show := stileIn(storeURL, "show", "orders/42")
	show.succeeds(t)
	for _, want := range []string{"host1:1 holder", lease.ID().String(), fmt.Sprint(lease.Token()), "waits 1", "unless renewed"} {
		if !strings.Contains(show.stdout, want) {
			t.Errorf("show has no %q:\n%s", want, show.stdout)
		}
	}
	list := stileIn(storeURL, "ls")
	list.succeeds(t)
	if !strings.Contains(list.stdout, "orders/42  1/1   1        host1:1 holder") {
		t.Errorf("ls prints\n%s", list.stdout)
	}
	if strings.Contains(show.stdout+list.stdout, "\x1b") {
		t.Error("somebody's owner label reached the terminal as it is")
	}
}

// A program that takes a store's key without stile: the store does not know
// since when, and perhaps not until when.
func TestHolderThatStileDidNotGrant(t *testing.T) {
	now := time.Now()
	state := &stile.State{Key: "k", Limit: 1, Holders: []stile.Holder{{Owner: "somebody else"}}}
	var shown strings.Builder
	if err := writeState(&shown, state, now); err != nil {
		t.Fatal(err)
	}
	if want := "k\n  holds  somebody else  exclusive  since -  until -  no lease of stile\n"; shown.String() != want {
		t.Errorf("it prints\n%swant\n%s", shown.String(), want)
	}
	if got := heldBy(state, now); got != "held by somebody else" {
		t.Errorf("it prints %q", got)
	}
	state.Holders[0].Expires = now.Add(time.Minute)
	if got := heldBy(state, now); !strings.Contains(got, "until ") || strings.Contains(got, "since") {
		t.Errorf("it prints %q", got)
	}
}

func TestBreakIsGentleUnlessTold(t *testing.T) {
	storeURL, locks := storeOf(t)
	lease := line(t, locks, "k")
	gentle := stileIn(storeURL, "break", "k", lease.ID().String())
	gentle.succeeds(t)
	if !strings.Contains(gentle.stdout, "passes on when host1:1 holder has stopped") {
		t.Errorf("break prints %q", gentle.stdout)
	}
	<-lease.Done()
	if _, err := locks.TryAcquire(t.Context(), "k", nil); err == nil {
		t.Error("the key passed on before its holder had stopped")
	}
	now := stileIn(storeURL, "break", "--now", "k", lease.ID().String())
	now.succeeds(t)
	if !strings.Contains(now.stdout, "may still be at work") {
		t.Errorf("break --now prints %q", now.stdout)
	}
	next, err := locks.TryAcquire(t.Context(), "k", nil)
	if err != nil {
		t.Fatalf("after break --now: %v", err)
	}
	if next.Token() <= lease.Token() {
		t.Errorf("token %d after %d", next.Token(), lease.Token())
	}
	stileIn(storeURL, "break", "k", lease.ID().String()).fails(t, exitLost, "no lease")
}

func TestWatchPrintsChanges(t *testing.T) {
	storeURL, locks := storeOf(t)
	lease := line(t, locks, "k", "host2:2 next")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out syncBuffer
	e := &env{stdout: &out, stderr: &out}
	mine, err := stile.Open(ctx, storeURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mine.Close() }()
	ended := make(chan error)
	go func() { ended <- watch(ctx, e, mine, "", leastInterval, true) }()
	waitFor(t, func() bool { return strings.Count(out.String(), "\n") == 2 })
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return strings.Count(out.String(), "\n") == 4 })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("watch: %v", err)
	}
	var seen []string
	for text := range strings.Lines(out.String()) {
		var c change
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Fatalf("watch prints %q: %v", text, err)
		}
		seen = append(seen, c.Event+" "+c.Owner)
	}
	want := "held host1:1 holder, waiting host2:2 next, ended host1:1 holder, held host2:2 next"
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("watch saw %s\nwant %s", got, want)
	}
}

func TestWrongUsage(t *testing.T) {
	storeURL, _ := storeOf(t)
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"shwo"}, `did you mean "show"?`},
		{[]string{"show"}, "usage: stile show"},
		{[]string{"show", "a", "b"}, "usage: stile show"},
		{[]string{"show", ""}, "empty"},
		{[]string{"show", "a\nb"}, "control character"},
		{[]string{"show", strings.Repeat("k", 513)}, "512"},
		{[]string{"ls", "--colour"}, "--colour"},
		{[]string{"ls", "--store", "consul://u:hunter2@h"}, "known schemes: mem"},
		{[]string{"break", "k"}, "usage: stile break"},
		{[]string{"break", "k", "xyz"}, "32 hexadecimal digits"},
		{[]string{"watch", "--interval", "1ms"}, "at least"},
		{[]string{"version", "now"}, "usage"},
	} {
		got := stileIn(storeURL, test.args...)
		got.fails(t, exitUsage, test.says)
		if strings.Contains(got.stderr, "hunter2") {
			t.Errorf("%v: a password on stderr: %q", test.args, got.stderr)
		}
	}
}

func TestDefaultStore(t *testing.T) {
	for _, test := range []struct{ flag, variable, xdg, home, want string }{
		{"mem:flag", "mem:variable", "/state", "/home/u", "mem:flag"},
		{"", "mem:variable", "/state", "/home/u", "mem:variable"},
		{"", "", "/state", "/home/u", "sqlite:/state/stile/locks.db"},
		{"", "", "", "/home/u", "sqlite:/home/u/.local/state/stile/locks.db"},
		{"", "", "relative", "/home/u", "sqlite:/home/u/.local/state/stile/locks.db"},
		{"", "", "", "/home/a b?c", "sqlite:/home/a%20b%3Fc/.local/state/stile/locks.db"},
	} {
		f := &storeFlag{url: test.flag, env: &env{getenv: func(name string) string {
			return map[string]string{storeVariable: test.variable, "XDG_STATE_HOME": test.xdg, "HOME": test.home}[name]
		}}}
		if got, err := f.resolve(); err != nil || got != test.want {
			t.Errorf("%+v: %q, %v", test, got, err)
		}
	}
	f := &storeFlag{env: &env{getenv: func(string) string { return "" }}}
	if _, err := f.resolve(); statusOf(err) != exitUsage {
		t.Errorf("without HOME: %v", err)
	}
}

func TestVersionAndHelp(t *testing.T) {
	if got := stileIn("", "version"); got.status != exitOK || !strings.Contains(got.stdout, "stores: mem") {
		t.Errorf("version: %+v", got)
	}
	for _, args := range [][]string{{}, {"--help"}, {"help", "ls"}, {"completion", "bash"}} {
		if got := stileIn("", args...); got.status != exitOK || got.stdout == "" {
			t.Errorf("%v: exit status %d, stderr %q", args, got.status, got.stderr)
		}
	}
}
