package lockqueue_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A scene tells one rule. Each line is what happens and, after the equals
// sign, what comes of it:
//
//	acquire A           the attempt A wants the key for itself, and waits for it
//	share A             the same for a shared hold
//	try A, try share A  without waiting
//	renew A 20          with an optional token: renew A 20 #1000
//	release A           break A gently      break A now      settle
//	at 25               time is 25 now; the wall clock shows 1000 more
//	wall 500            from now on it shows 500 more than the time
//	cut A               nobody can reach A any more
//	due                 when the last answer said that something gives way
//	line                who holds and who waits
//
// An attempt asks for a TTL and a waiter lease of 10, unless it says ttl=20,
// waits=20, minhold=30, tokens=3 or limit=2.
type scene struct {
	name  string
	lines []string
}

// A stage is where a scene plays.
type stage struct {
	memory *lockqueue.Memory
	now    lockqueue.Now
	ahead  lockqueue.Micros
	cuts   map[string]bool
	last   lockqueue.Result
}

func TestRules(t *testing.T) {
	for _, scene := range rules {
		t.Run(scene.name, func(t *testing.T) {
			s := &stage{memory: lockqueue.NewMemory(), ahead: 1000, cuts: map[string]bool{}}
			s.now.Wall = s.ahead
			s.memory.CanReach = func(e lockqueue.Entry) bool { return !s.cuts[name(e.ID)] }
			for _, line := range scene.lines {
				do, want, _ := strings.Cut(line, " = ")
				if got := s.play(t, strings.Fields(do)); got != strings.TrimSpace(want) {
					t.Fatalf("%s = %s, want %s", do, got, want)
				}
			}
		})
	}
}

// play does one line and tells what came of it.
func (s *stage) play(t *testing.T, words []string) string {
	t.Helper()
	switch words[0] {
	case "at":
		s.now.Lease = micros(t, words[1])
		s.now.Wall = s.now.Lease + s.ahead
		return ""
	case "wall":
		s.ahead = micros(t, words[1])
		s.now.Wall = s.now.Lease + s.ahead
		return ""
	case "cut":
		s.cuts[words[1]] = true
		return ""
	case "due":
		if !s.last.HasDue {
			return "never"
		}
		return fmt.Sprint(s.last.Due)
	case "line":
		return s.show()
	}
	res, err := theMachine(s.memory, s.now, parse(t, words))
	if err != nil {
		t.Fatal(err)
	}
	s.last = res
	return tell(&res)
}

func (s *stage) show() string {
	in := contentsOf(s.memory)
	var b strings.Builder
	for i := range in.holders {
		e := &in.holders[i]
		fmt.Fprintf(&b, "%s holds until %d", name(e.ID), e.Until())
		if ended := e.Holder(s.now).Ended; ended != "" {
			fmt.Fprintf(&b, " (%s)", ended)
		}
		b.WriteString("; ")
	}
	for i := range in.line {
		fmt.Fprintf(&b, "%s waits; ", name(in.line[i].ID))
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func parse(t *testing.T, words []string) *order {
	t.Helper()
	o := &order{attempt: lockqueue.Attempt{Limit: 1, TTL: 10, WaiterTTL: 10, Tokens: 1}}
	switch words[0] {
	case "try":
		o.verb = tryAcquire
	case "share":
		o.attempt.Mode = driver.Shared
	case "renew":
		o.verb = renew
	case "release":
		o.verb = release
	case "break":
		o.verb = breakNow
	case "settle":
		o.verb = settle
	}
	for _, word := range words[1:] {
		field, value, _ := strings.Cut(word, "=")
		switch {
		case field == "ttl":
			o.attempt.TTL = micros(t, value)
		case field == "waits":
			o.attempt.WaiterTTL = micros(t, value)
		case field == "minhold":
			o.attempt.MinHold = micros(t, value)
		case field == "tokens":
			o.attempt.Tokens = int(micros(t, value))
		case field == "limit":
			o.attempt.Limit = int(micros(t, value))
		case word == "share":
			o.attempt.Mode = driver.Shared
		case word == "gently":
			o.verb = breakGently
		case word == "now":
		case word[0] == '#':
			o.token = uint64(micros(t, word[1:]))
		case word[0] >= 'A' && word[0] <= 'Z':
			o.attempt.ID = attemptID(int(word[0] - 'A'))
		default:
			o.ttl = micros(t, word)
		}
	}
	return o
}

func micros(t *testing.T, text string) lockqueue.Micros {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return lockqueue.Micros(n)
}

// tell puts an answer into words.
func tell(res *lockqueue.Result) string {
	var b strings.Builder
	switch res.Status {
	case lockqueue.OK:
		b.WriteString("ok")
	case lockqueue.Granted:
		fmt.Fprintf(&b, "granted #%d", res.Entry.Token)
	case lockqueue.Queued:
		b.WriteString("waits")
		if res.First {
			b.WriteString(" first")
		}
	case lockqueue.Busy:
		b.WriteString("busy")
		for i := range res.Holders {
			b.WriteString(" " + name(res.Holders[i].ID))
		}
	case lockqueue.LimitDiffers:
		fmt.Fprintf(&b, "limit is %d", res.Limit)
	case lockqueue.Lost:
		b.WriteString("lost")
	}
	for i := range res.Woken {
		fmt.Fprintf(&b, ", wakes %s #%d", name(res.Woken[i].ID), res.Woken[i].Token)
	}
	return b.String()
}
