package tests

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/script"
)

var statLine = regexp.MustCompile(`(?m)^cmdstat_([^:]+):calls=(\d+),usec=(\d+)`)

// calls returns how many commands a server has run since this was asked last,
// by name, and how long its scripts took. A command that a script runs counts.
func (l *lock) calls() (byName map[string]int, took time.Duration) {
	l.t.Helper()
	text, ok := l.wire.must(l.t, "INFO", "commandstats").(string)
	if !ok {
		l.t.Fatal("INFO is no text")
	}
	byName = map[string]int{}
	for _, m := range statLine.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil {
			l.t.Fatal(err)
		}
		micros, err := strconv.Atoi(m[3])
		if err != nil {
			l.t.Fatal(err)
		}
		switch m[1] {
		case "evalsha":
			took = time.Duration(micros) * time.Microsecond
		case "info", "config|resetstat":
		default:
			byName[m[1]] = n
		}
	}
	l.wire.must(l.t, "CONFIG", "RESETSTAT")
	return byName, took
}

func total(calls map[string]int) (n int) {
	for _, c := range calls {
		n += c
	}
	return n
}

// TestCallsOfScripts counts what a script asks of Redis: it is what an acquire
// and a release cost.
func TestCallsOfScripts(t *testing.T) {
	server, l := startLock(t)
	ears := connect(t, server)
	ears.must(t, "SUBSCRIBE", "wake")
	shared := func(n int) *script.Attempt {
		a := attempt(n, script.Queue, "p:wake")
		a.Mode = driver.Shared
		return a
	}
	l.calls()
	for _, step := range []struct {
		name string
		most int
		run  func()
	}{
		{"acquire a key never seen", 4, func() { l.want(script.Granted, l.acquire(attempt(1, script.Probe, ""))) }},
		{"release it", 2, func() { l.want(script.OK, l.release(1, script.TombIfWithdrawn)) }},
		{"acquire it again", 3, func() { l.want(script.Granted, l.acquire(attempt(2, script.Queue, "p:wake"))) }},
		{"renew", 5, func() { l.want(script.OK, l.renew(2, time.Minute)) }},
		{"find it taken", 4, func() { l.want(script.Busy, l.acquire(attempt(3, script.Try, ""))) }},
		{"be the first in line", 12, func() { l.want(script.Queued, l.acquire(attempt(3, script.Queue, "p:wake"))) }},
		{"stand in line", 8, func() { l.want(script.Queued, l.acquire(attempt(4, script.Queue, "p:wake"))) }},
		{"stand in line, third", 8, func() { l.want(script.Queued, l.acquire(attempt(5, script.Queue, "p:wake"))) }},
		{"wait on", 12, func() { l.want(script.Queued, l.acquire(attempt(5, script.Queue, "p:wake"))) }},
		{"hand over", 9, func() { l.want(script.OK, l.release(2, script.TombIfWithdrawn)) }},
		{"hand over to the last but one", 9, func() { l.want(script.OK, l.release(3, script.TombIfWithdrawn)) }},
		{"hand over to the last", 9, func() { l.want(script.OK, l.release(4, script.TombIfWithdrawn)) }},
		{"release with nobody left", 2, func() { l.want(script.OK, l.release(5, script.TombIfWithdrawn)) }},
		{"share", 14, func() { l.want(script.Granted, l.acquire(shared(6))) }},
		{"share with one", 15, func() { l.want(script.Granted, l.acquire(shared(7))) }},
		{"release a share", 12, func() { l.want(script.OK, l.release(6, script.TombIfWithdrawn)) }},
	} {
		step.run()
		calls, _ := l.calls()
		t.Logf("%s: %d calls, %v", step.name, total(calls), calls)
		if n := total(calls); n > step.most || n == 0 {
			t.Errorf("%s takes %d calls, want at most %d: %v", step.name, n, step.most, calls)
		}
	}
}

// TestLongLine: a line of 10,000 takes 500 bytes of memory for each who stands
// in it, and costs no more calls for a hand-over, nor much more time, than a
// line of ten.
func TestLongLine(t *testing.T) {
	server, l := startLock(t)
	const crowd, handovers = 10_000, 400
	client := driver.NewLeaseID().String() // A client's channel has a name like this.
	wake := "stile:wake:" + client
	ears := connect(t, server)
	ears.must(t, "SUBSCRIBE", wake)

	// measure hands the key over, again and again, while so many stand in line.
	next, last := 0, 0
	join := func() {
		last++
		want := script.Queued
		if last == 1 {
			want = script.Granted
		}
		l.want(want, l.acquire(attempt(last, script.Queue, "p:"+wake)))
	}
	measure := func(line int) (calls float64, took time.Duration) {
		for last-next-1 < line {
			join()
		}
		next++ // It holds now.
		l.calls()
		for range handovers {
			l.want(script.OK, l.release(next, script.TombIfWithdrawn))
			next++
			join()
			answer, err := ears.read()
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := answer.([]any); !ok || len(got) != 3 {
				t.Fatalf("heard %v", answer)
			} else if m, err := script.ParseMessage(got[2].(string)); err != nil || m.ID != attemptID(next) { //nolint:forcetypeassert // A message is a text.
				t.Fatalf("%v holds, %v, want %v: not in order", m.ID, err, attemptID(next))
			}
		}
		next--
		byName, spent := l.calls()
		return float64(total(byName)) / handovers, spent / handovers
	}
	fewCalls, fewTook := measure(10)
	manyCalls, manyTook := measure(crowd)
	t.Logf("a hand-over and a newcomer: %.1f calls and %v with 10 in line, %.1f calls and %v with %d", fewCalls, fewTook, manyCalls, manyTook, crowd)
	if manyCalls > fewCalls+0.1 {
		t.Errorf("a line of %d costs %.1f calls, and one of ten %.1f", crowd, manyCalls, fewCalls)
	}
	if manyTook > 3*fewTook {
		t.Errorf("a line of %d takes %v, and one of ten %v", crowd, manyTook, fewTook)
	}

	memory := int64(0)
	for _, name := range []string{l.names[script.Line], l.names[script.Entries]} {
		n, ok := l.wire.must(t, "MEMORY", "USAGE", name, "SAMPLES", "0").(int64)
		if !ok {
			t.Fatal("MEMORY USAGE is no number")
		}
		memory += n
	}
	waiting := len(l.inspect().Waiters)
	t.Logf("%d waiters take %d bytes each", waiting, memory/int64(waiting))
	if waiting < crowd || memory > 500*int64(waiting) {
		t.Errorf("%d waiters take %d bytes, want at most 500 each", waiting, memory)
	}
}

// TestRefusalNamesEight: of a crowd of holders the eight who hold the longest
// are named.
func TestRefusalNamesEight(t *testing.T) {
	_, l := startLock(t)
	for n := range 12 {
		a := attempt(n, script.Queue, "")
		a.Limit = 12
		l.want(script.Granted, l.acquire(a))
	}
	a := attempt(99, script.Try, "")
	a.Limit = 12
	busy := l.want(script.Busy, l.acquire(a))
	named := ""
	for i := range busy.Holders {
		named += fmt.Sprint(busy.Holders[i].ID == attemptID(i), " ")
	}
	if len(busy.Holders) != 8 || named != "true true true true true true true true " || busy.Limit != 12 {
		t.Errorf("limit %d, %d holders: %s", busy.Limit, len(busy.Holders), named)
	}
}
