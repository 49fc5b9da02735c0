package guard

import (
	"testing"
	"time"
)

func TestRule(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, test := range []struct {
		ttl, killAfter             time.Duration
		wantKillAfter, wantReserve time.Duration
		term, kill                 time.Duration // before the deadline
	}{
		{15 * s, 5 * s, 5 * s, 250 * ms, 5 * s, 250 * ms},
		{15 * s, 10 * s, 5 * s, 250 * ms, 5 * s, 250 * ms}, // at most a third of the TTL
		{15 * s, 0, 0, 250 * ms, 250 * ms, 250 * ms},       // no SIGTERM: SIGKILL in time
		{15 * s, 100 * ms, 100 * ms, 250 * ms, 250 * ms, 250 * ms},
		{15 * s, -s, 0, 250 * ms, 250 * ms, 250 * ms},
		{1500 * ms, 5 * s, 500 * ms, 150 * ms, 500 * ms, 150 * ms},
		{1 * s, 200 * ms, 200 * ms, 100 * ms, 200 * ms, 100 * ms},
	} {
		r := NewRule(test.ttl, test.killAfter)
		if r.KillAfter != test.wantKillAfter || r.Reserve != test.wantReserve {
			t.Errorf("NewRule(%v, %v) = %+v", test.ttl, test.killAfter, r)
		}
		const deadline = Instant(time.Hour)
		if got := deadline.Sub(r.TermAt(deadline)); got != test.term {
			t.Errorf("TTL %v, kill-after %v: SIGTERM %v before the deadline, want %v", test.ttl, test.killAfter, got, test.term)
		}
		if got := deadline.Sub(r.KillAt(deadline)); got != test.kill {
			t.Errorf("TTL %v, kill-after %v: SIGKILL %v before the deadline, want %v", test.ttl, test.killAfter, got, test.kill)
		}
		// A healthy lease is renewed at a third of its TTL: what is left then
		// must leave room for tries that fail.
		if term := r.TermAt(deadline); term < deadline.Add(-test.ttl/2) {
			t.Errorf("TTL %v, kill-after %v: SIGTERM is due %v before the deadline", test.ttl, test.killAfter, deadline.Sub(term))
		}
	}
}

func TestKillSoon(t *testing.T) {
	r := NewRule(15*time.Second, 5*time.Second)
	const deadline = Instant(time.Hour)
	if now := deadline.Add(-9 * time.Second); r.KillSoonAt(now, deadline) != now.Add(5*time.Second) {
		t.Error("told to end long before the deadline, a command gets kill-after and no more")
	}
	if now := deadline.Add(-2 * time.Second); r.KillSoonAt(now, deadline) != r.KillAt(deadline) {
		t.Error("told to end shortly before the deadline, a command ends before it")
	}
	if now := deadline.Add(time.Second); r.KillSoonAt(now, deadline) > now {
		t.Error("past the deadline, SIGKILL is due at once")
	}
}
