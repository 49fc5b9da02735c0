package redisbench

import (
	"errors"
	"flag"
	"io"
	"testing"
	"time"

	"github.com/stilelock/stile"
)

const someStats = "# Commandstats\r\n" +
	"cmdstat_evalsha:calls=10,usec=100,usec_per_call=10.00,rejected_calls=0,failed_calls=0\r\n" +
	"cmdstat_get:calls=7,usec=7,usec_per_call=1.00,rejected_calls=0,failed_calls=0\r\n" +
	"cmdstat_client|setinfo:calls=4,usec=2,usec_per_call=0.50,rejected_calls=0,failed_calls=0\r\n"

func TestCostTellsScriptsFromWhatTheyCall(t *testing.T) {
	t.Parallel()
	before, err := parseCounters(someStats)
	if err != nil {
		t.Fatal(err)
	}
	after := map[string]counter{
		"evalsha": {calls: 30, usec: 500}, "get": {calls: 57, usec: 60}, "set": {calls: 5, usec: 9},
		"client|setinfo": {calls: 5, usec: 3}, "ping": {calls: 2, usec: 1}, "info": {calls: 9, usec: 999}, "eval": {calls: 1, usec: 50},
	}
	w := &window{before: before, after: after}
	if got, want := w.cost(), (cost{scripts: 21, requests: 24, inner: 55, usec: 452}); got != want {
		t.Errorf("cost = %+v, want %+v", got, want)
	}
	// A library that sends SET itself.
	if got, want := w.cost("set"), (cost{scripts: 21, requests: 29, inner: 50, usec: 461}); got != want {
		t.Errorf("cost with its own SET = %+v, want %+v", got, want)
	}
}

func TestCountersRefuseWhatIsNoNumber(t *testing.T) {
	t.Parallel()
	if _, err := parseCounters("cmdstat_get:calls=many,usec=1"); err == nil {
		t.Error("no error for a count that is no number")
	}
}

func TestField(t *testing.T) {
	t.Parallel()
	const info = "# Memory\r\nused_memory_rss:7\r\nused_memory:42\r\n"
	if got := field(info, "used_memory"); got != "42" {
		t.Errorf("used_memory = %q", got)
	}
	if got := field(info, "nothing"); got != "" {
		t.Errorf("a field that is not there = %q", got)
	}
}

func TestDisorder(t *testing.T) {
	t.Parallel()
	id := func(n byte) stile.LeaseID { return stile.LeaseID{n} }
	line := []stile.Waiter{{ID: id(1)}, {ID: id(2)}, {ID: id(3)}}
	tests := []struct {
		served []stile.LeaseID
		want   int
	}{
		{[]stile.LeaseID{id(1), id(2), id(3)}, 0},
		{[]stile.LeaseID{id(2), id(1), id(3)}, 2},
		{[]stile.LeaseID{id(1), id(2)}, 1},
		{[]stile.LeaseID{id(1), id(2), id(3), id(4)}, 1},
		{nil, 3},
	}
	for _, tt := range tests {
		if got := disorder(line, tt.served); got != tt.want {
			t.Errorf("disorder of %v = %d, want %d", tt.served, got, tt.want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	quiet := func(flags *flag.FlagSet) { flags.SetOutput(io.Discard) }
	c, err := Parse([]string{"-rounds", "3", "-duration", "1s", "-only", "^hand", "-waiters", "5,6"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if c.Rounds != 3 || c.Duration != time.Second || !c.Only.MatchString("hand-over") || len(c.Waiters) != 2 || c.Libs != nil {
		t.Errorf("Parse = %+v", c)
	}
	for _, args := range [][]string{{"-rounds", "0"}, {"-only", "("}, {"-libraries", "("}, {"-waiters", "x"}, {"-workers", "1"}, {"word"}} {
		if _, err := Parse(args, quiet); !errors.Is(err, errUsage) {
			t.Errorf("Parse(%q): error %v, want wrong usage", args, err)
		}
	}
	if _, err := Parse([]string{"-h"}, quiet); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("Parse(-h): error %v", err)
	}
}
