package zookeeper

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile"
)

// lockKey is what both programs lock.
const lockKey = "reports/daily"

func TestClassic(t *testing.T) {
	s := startServer(t)
	classic := build(t, "classic")
	p := start(t, classic, "-store", s.url(), "-work", "1ms")
	if status := p.status(); status != 0 || !strings.HasPrefix(read(t, p.out), "working with token ") || read(t, p.errOut) != "" {
		t.Errorf("exit status %d, prints %q and %q", status, read(t, p.out), read(t, p.errOut))
	}
	if nodes := s.ephemerals(t); len(nodes) > 0 {
		t.Errorf("after its end there are %q", nodes)
	}
}

func TestClassicLeavesAtOnceIfTaken(t *testing.T) {
	s := startServer(t)
	classic := build(t, "classic")
	holder := start(t, classic, "-store", s.url(), "-work", "1h")
	holder.works()
	held := s.ephemerals(t)
	if len(held) != 1 {
		t.Errorf("while it works there are %q, want one node", held)
	}
	second := start(t, classic, "-store", s.url(), "-work", "1h")
	status := second.status()
	says := read(t, second.errOut)
	if status != 75 || read(t, second.out) != "" || !strings.HasPrefix(says, `key "reports/daily" is busy: held by `) ||
		!strings.Contains(says, "classic") || !strings.Contains(says, " since ") {
		t.Errorf("exit status %d, says %q, want who holds the key", status, says)
	}
	if now := s.ephemerals(t); len(now) != 1 || now[0] != held[0] {
		t.Errorf("the second left %q behind, there were %q", now, held)
	}
}

// What another has by now is not released.
func TestClassicReleasesOnlyItsOwn(t *testing.T) {
	s := startServer(t)
	locks := s.open(t)
	p := start(t, build(t, "classic"), "-store", s.url(), "-work", "1h")
	p.works()
	state, err := locks.Get(t.Context(), lockKey)
	if err != nil || len(state.Holders) != 1 {
		t.Fatalf("holders %v, %v", state.Holders, err)
	}
	if err := locks.Break(t.Context(), lockKey, state.Holders[0].ID, stile.BreakNow); err != nil {
		t.Fatal(err)
	}
	lease, err := locks.Acquire(t.Context(), lockKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	if status := p.status(); status != 71 || !strings.Contains(read(t, p.errOut), "lost") {
		t.Errorf("exit status %d, says %q, want that the lease is lost", status, read(t, p.errOut))
	}
	if nodes := s.ephemerals(t); len(nodes) != 1 {
		t.Errorf("there are %q, want the node of who has the key now", nodes)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestClassicWithoutZooKeeper(t *testing.T) {
	p := start(t, build(t, "classic"), "-store", "zookeeper://127.0.0.1:1")
	if status := p.status(); status != 69 || read(t, p.out) != "" || read(t, p.errOut) == "" {
		t.Errorf("exit status %d, prints %q and %q", status, read(t, p.out), read(t, p.errOut))
	}
}

func TestDo(t *testing.T) {
	s := startServer(t)
	do := build(t, "do")
	// The second waits in line.
	first := start(t, do, "-store", s.url(), "-work", "300ms")
	first.works()
	second := start(t, do, "-store", s.url(), "-work", "1ms")
	for i, p := range []*program{first, second} {
		if status := p.status(); status != 0 || read(t, p.errOut) != "" {
			t.Errorf("program %d: exit status %d, says %q", i, status, read(t, p.errOut))
		}
	}
	if a, b := first.token(), second.token(); a >= b {
		t.Errorf("token %d, then %d", a, b)
	}
	if nodes := s.ephemerals(t); len(nodes) > 0 {
		t.Errorf("after their end there are %q", nodes)
	}
}

func TestDoGivesUpWaiting(t *testing.T) {
	s := startServer(t)
	lease, err := s.open(t).Acquire(t.Context(), lockKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p := start(t, build(t, "do"), "-store", s.url(), "-work", "1ms")
	if status := p.status(); status != 1 || read(t, p.out) != "" || read(t, p.errOut) == "" {
		t.Errorf("exit status %d, prints %q and %q", status, read(t, p.out), read(t, p.errOut))
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("it gave up after %v, want 2 s", took)
	}
	if nodes := s.ephemerals(t); len(nodes) != 1 {
		t.Errorf("there are %q, want the holder's node", nodes)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Error(err)
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
	if nodes := s.ephemerals(t); len(nodes) > 0 {
		t.Errorf("after its end there are %q", nodes)
	}
}
