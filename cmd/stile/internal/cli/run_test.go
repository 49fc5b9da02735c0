package cli

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/cmd/stile/internal/guard"
	"github.com/stilelock/stile/driver"
)

func TestSplitAtDash(t *testing.T) {
	for _, test := range []struct {
		args    []string
		dash    int // where -- was, as the flags' parser counts
		key     string
		command []string
	}{
		{[]string{"k", "c"}, 1, "k", []string{"c"}},
		{[]string{"k", "c", "--", "-x"}, 1, "k", []string{"c", "--", "-x"}},
		{[]string{"k", "--", "c"}, 1, "k", []string{"--", "c"}},
		{[]string{"-k", "--", "c"}, 0, "-k", []string{"c"}},
		{[]string{"k"}, 1, "", nil},
		{[]string{"k", "c"}, -1, "", nil},
		{[]string{"k", "l", "c"}, 2, "", nil},
		{[]string{"c"}, 0, "", nil},
		{[]string{"-k", "--"}, 0, "", nil},
		{nil, -1, "", nil},
	} {
		key, command, err := splitAtDash(test.args, test.dash)
		if (err == nil) != (test.key != "") || key != test.key || !slices.Equal(command, test.command) {
			t.Errorf("splitAtDash(%q, %d) = %q, %q, %v", test.args, test.dash, key, command, err)
		}
		if err != nil && statusOf(err) != exitUsage {
			t.Errorf("splitAtDash(%q, %d): exit status %d", test.args, test.dash, statusOf(err))
		}
	}
}

func TestDefaultOwnerIsALabel(t *testing.T) {
	for _, command := range []string{"/usr/bin/make", "a\x1b[31mb", "a\xffb", strings.Repeat("ü", 400)} {
		owner := defaultOwner(command)
		if len(owner) > driver.MaxOwnerBytes || !utf8.ValidString(owner) || strings.ContainsRune(owner, '\x1b') {
			t.Errorf("owner of %q: %q", command, owner)
		}
	}
	if owner := defaultOwner("/usr/bin/make"); !strings.HasSuffix(owner, " make") {
		t.Errorf("owner %q", owner)
	}
}

func TestPlaceInLine(t *testing.T) {
	now := time.Now()
	state := &stile.State{Key: "k", Waiters: []stile.Waiter{
		{Owner: "a", Since: now.Add(-3 * time.Minute)},
		{Owner: "same", Since: now.Add(-2 * time.Minute)},
		{Owner: "same", Since: now.Add(time.Second)},
		{Owner: "z", Since: now.Add(2 * time.Second)},
	}}
	for owner, want := range map[string]int{"a": 0, "same": 2, "z": 3, "not seen yet": 4} {
		l := &stay{front: &front{flags: &runFlags{owner: owner}}, since: now}
		if got := l.ahead(state); got != want {
			t.Errorf("%s: %d ahead, want %d", owner, got, want)
		}
	}
}

func TestStoreIsNotForTheCommand(t *testing.T) {
	got := withoutStore([]string{"A=1", "STILE_STORE=redis://u:pw@h", "STILE_STOREROOM=kept", "STILE_STORE="})
	if !slices.Equal(got, []string{"A=1", "STILE_STOREROOM=kept"}) {
		t.Errorf("environment %q", got)
	}
}

// The README promises it: what could not be ended is named.
func TestSurvivorsAreNamed(t *testing.T) {
	f := &front{group: 41, last: &guard.Event{Kind: guard.Gone, Survivors: []int{42, 43}}}
	if got := f.whatEnded(); !strings.Contains(got, "42 43") || !strings.Contains(got, "could not be ended") {
		t.Errorf("with survivors: %q", got)
	}
	f.last.Survivors = nil
	if got := f.whatEnded(); got != "the command was ended" {
		t.Errorf("without: %q", got)
	}
}
