package zktest

import (
	"errors"
	"sync"
	"testing"
)

// once starts something at its first use, for all tests of the process.
type once[T any] struct {
	mu      sync.Mutex
	value   T
	err     error
	started bool
}

func (o *once[T]) get(t testing.TB, start func() (T, error)) T {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.started {
		o.value, o.err = start()
		o.started = true
	}
	if o.err != nil {
		t.Fatal(o.err)
	}
	return o.value
}

func (o *once[T]) stop(discard func(T) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.started || o.err != nil {
		return nil // Its tests have said that the start failed.
	}
	o.started = false
	return discard(o.value)
}

var (
	sharedServer   once[*Server]
	sharedEnsemble once[*Ensemble]
)

// Shared returns the one server that all tests of this process share. A test
// keeps below a root of its own there, and does nothing to it that others notice.
func Shared(t testing.TB) *Server {
	t.Helper()
	s := sharedServer.get(t, startAlone)
	t.Cleanup(func() { s.process.showLog(t, "the shared zookeeper "+s.Addr) })
	return s
}

// SharedEnsemble is [Shared] for an ensemble.
func SharedEnsemble(t testing.TB) *Ensemble {
	t.Helper()
	e := sharedEnsemble.get(t, startEnsemble)
	t.Cleanup(func() {
		for _, s := range e.Servers {
			s.process.showLog(t, "the shared zookeeper "+s.Addr)
		}
	})
	return e
}

// StopShared ends all shared servers. TestMain calls it after the last test.
func StopShared() error {
	return errors.Join(sharedServer.stop((*Server).discard), sharedEnsemble.stop((*Ensemble).discard))
}
