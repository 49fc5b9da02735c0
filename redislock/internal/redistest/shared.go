package redistest

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

// stop discards what was started; the next use starts it again.
func (o *once[T]) stop(discard func(T) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.started {
		return nil
	}
	o.started = false
	if o.err != nil {
		return nil // The start has failed, which its tests have said: there is nothing to stop.
	}
	return discard(o.value)
}

var (
	sharedServer   once[*Server]
	sharedSentinel once[*Sentinel]
	sharedCluster  once[*Cluster]
)

// Shared returns the one standalone server that all tests of this process
// share. A test keeps to keys of its own there, and does nothing to it that
// others notice.
func Shared(t testing.TB) *Server {
	t.Helper()
	return sharedServer.get(t, func() (*Server, error) { return start(nil) })
}

// SharedSentinel is [Shared] for a primary, a replica and a Sentinel.
func SharedSentinel(t testing.TB) *Sentinel {
	t.Helper()
	return sharedSentinel.get(t, func() (*Sentinel, error) { return startSentinel(nil) })
}

// SharedCluster is [Shared] for a Cluster.
func SharedCluster(t testing.TB) *Cluster {
	t.Helper()
	return sharedCluster.get(t, func() (*Cluster, error) { return startCluster(nil) })
}

// StopShared ends all shared servers. TestMain calls it after the last test.
func StopShared() error {
	return errors.Join(
		sharedServer.stop((*Server).discard),
		sharedSentinel.stop((*Sentinel).discard),
		sharedCluster.stop((*Cluster).discard),
	)
}
