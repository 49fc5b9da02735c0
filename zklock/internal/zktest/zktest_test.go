package zktest

import (
	"testing"
	"time"
)

func TestServer(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	s := Start(t)
	t.Logf("a start takes %v", time.Since(begun))
	if mode := s.Mode(); mode != "standalone" {
		t.Errorf("mode %q", mode)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if mode := s.Mode(); mode != "" {
		t.Errorf("killed, its mode is %q", mode)
	}
	if err := s.Again(); err != nil {
		t.Fatal(err)
	}
	if mode := s.Mode(); mode != "standalone" {
		t.Errorf("mode %q", mode)
	}
}

func TestEnsemble(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	e := StartEnsemble(t)
	t.Logf("a start takes %v", time.Since(begun))
	leader, followers := e.Leader(t)
	if len(followers) != 2 {
		t.Fatalf("there are %d followers", len(followers))
	}
	if err := leader.Kill(); err != nil {
		t.Fatal(err)
	}
	if next, _ := e.Leader(t); next == leader {
		t.Error("the leader is still there")
	}
}
