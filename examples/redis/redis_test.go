package redis

import (
	"os"
	"strings"
	"testing"
	"time"
)

// lockKey is where both programs' lock stands in Redis.
const lockKey = "lock:reports/daily"

func TestClassic(t *testing.T) {
	s := startServer(t)
	classic := build(t, "classic")
	p := start(t, classic, "-store", s.url(), "-work", "1ms")
	if status := p.status(); status != 0 || !strings.HasPrefix(read(t, p.out), "working with token ") || read(t, p.errOut) != "" {
		t.Errorf("exit status %d, prints %q and %q", status, read(t, p.out), read(t, p.errOut))
	}
	if got := s.must(t, "GET", lockKey); got != "$-1" {
		t.Errorf("after its end the key holds %q", got)
	}
}

func TestClassicLeavesAtOnceIfTaken(t *testing.T) {
	s := startServer(t)
	classic := build(t, "classic")
	holder := start(t, classic, "-store", s.url(), "-work", "1h")
	holder.works()
	if pttl := s.number(t, "PTTL", lockKey); pttl <= 0 || pttl > 10_100 {
		t.Errorf("the key lives %d ms, want the 10 s that it was acquired with", pttl)
	}
	second := start(t, classic, "-store", s.url(), "-work", "1h")
	status := second.status()
	says := read(t, second.errOut)
	if status != 75 || read(t, second.out) != "" || !strings.HasPrefix(says, `key "reports/daily" is busy: held by `) ||
		!strings.Contains(says, "classic") || !strings.Contains(says, " since ") || !strings.Contains(says, ", until ") {
		t.Errorf("exit status %d, says %q, want who holds the key", status, says)
	}
	if s.must(t, "GET", lockKey) == "$-1" {
		t.Error("the second took the key away")
	}
}

// What another has by now is not released.
func TestClassicReleasesOnlyItsOwn(t *testing.T) {
	s := startServer(t)
	p := start(t, build(t, "classic"), "-store", s.url(), "-work", "1h")
	p.works()
	s.must(t, "SET", lockKey, "somebody-else", "PX", "60000")
	if status := p.status(); status != 71 || !strings.Contains(read(t, p.errOut), "lost") {
		t.Errorf("exit status %d, says %q, want that the lease is lost", status, read(t, p.errOut))
	}
	if got := s.must(t, "GET", lockKey); got != "somebody-else" {
		t.Errorf("the key holds %q", got)
	}
}

func TestClassicWithoutRedis(t *testing.T) {
	p := start(t, build(t, "classic"), "-store", "redis://127.0.0.1:1")
	if status := p.status(); status != 69 || read(t, p.out) != "" || read(t, p.errOut) == "" {
		t.Errorf("exit status %d, prints %q and %q", status, read(t, p.out), read(t, p.errOut))
	}
}

func TestDo(t *testing.T) {
	s := startServer(t)
	do := build(t, "do")
	first := start(t, do, "-store", s.url(), "-work", "300ms")
	first.works()
	// The second waits in line.
	second := start(t, do, "-store", s.url(), "-work", "1ms")
	for i, p := range []*program{first, second} {
		if status := p.status(); status != 0 || read(t, p.errOut) != "" {
			t.Errorf("program %d: exit status %d, says %q", i, status, read(t, p.errOut))
		}
	}
	// Of equal length: the clock's microseconds.
	if a, b := read(t, first.out), read(t, second.out); a >= b {
		t.Errorf("first %q, then %q", a, b)
	}
	if got := s.must(t, "GET", lockKey); got != "$-1" {
		t.Errorf("after their end the key holds %q", got)
	}
}

func TestDoGivesUpWaiting(t *testing.T) {
	s := startServer(t)
	s.must(t, "SET", lockKey, "somebody-else", "PX", "60000")
	began := time.Now()
	p := start(t, build(t, "do"), "-store", s.url(), "-work", "1ms")
	if status := p.status(); status != 1 || read(t, p.out) != "" || read(t, p.errOut) == "" {
		t.Errorf("exit status %d, prints %q and %q", status, read(t, p.out), read(t, p.errOut))
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("it gave up after %v, want 2 s", took)
	}
}

func TestDoReleasesWhenInterrupted(t *testing.T) {
	s := startServer(t)
	p := start(t, build(t, "do"), "-store", s.url(), "-work", "1h")
	p.works()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if status := p.status(); status != 1 {
		t.Errorf("exit status %d, says %q", status, read(t, p.errOut))
	}
	if got := s.must(t, "GET", lockKey); got != "$-1" {
		t.Errorf("after its end the key holds %q", got)
	}
}
