package hold

import (
	"errors"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/cmd/stile/internal/guard"
	_ "github.com/stilelock/stile/memlock" // registers mem:
)

func acquire(t *testing.T, storeURL string) *Hold {
	t.Helper()
	s, err := Open(t.Context(), storeURL)
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Acquire(t.Context(), "k", false, &stile.Options{TTL: time.Second})
	if err != nil {
		t.Fatal(errors.Join(err, s.Close()))
	}
	return h
}

// A lease goes from one process to the other and back, and is released once.
func TestHandOver(t *testing.T) {
	storeURL := "mem:" + t.Name()
	watcher, err := Open(t.Context(), storeURL) // Keeps the store in memory open.
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Close() }()
	held := func() bool {
		state, err := watcher.Locks.Get(t.Context(), "k")
		return err == nil && len(state.Holders) == 1
	}
	first := acquire(t, storeURL)
	second, err := Adopt(t.Context(), storeURL, first.Lease.Handle())
	if err != nil {
		t.Fatal(err)
	}
	first.Abandon()
	if <-first.Done(); first.Remaining() != 0 {
		t.Error("an abandoned lease is over for who abandoned it")
	}
	if !held() || second.Remaining() <= 0 {
		t.Fatal("the lease did not survive being abandoned by one of two")
	}
	select {
	case <-second.Renewed():
	case <-time.After(5 * time.Second):
		t.Fatal("the new holder does not renew")
	}
	if deadline := guard.Deadline(second); deadline.Sub(guard.Now()) > time.Second {
		t.Errorf("the deadline is later than the TTL allows: in %v", deadline.Sub(guard.Now()))
	}
	if err := second.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if held() {
		t.Error("released, and still held")
	}
	if _, err := Adopt(t.Context(), storeURL, first.Lease.Handle()); !errors.Is(err, stile.ErrLost) {
		t.Errorf("adopt a lease that is over: %v", err)
	}
}

func TestOpenNoStore(t *testing.T) {
	if _, err := Open(t.Context(), "nosuch:x"); !errors.Is(err, stile.ErrInvalid) {
		t.Errorf("open: %v", err)
	}
	if _, err := Adopt(t.Context(), "mem:"+t.Name(), "no handle"); !errors.Is(err, stile.ErrInvalid) {
		t.Errorf("adopt: %v", err)
	}
}
