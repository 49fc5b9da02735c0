package redislock_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// A metronome measures by how much the machine is late with what is due: two
// cores that are shared can be late by more than the margin of a short TTL.
type metronome struct {
	stop chan struct{}
	work sync.WaitGroup
	late time.Duration // read after end
}

func startMetronome() *metronome {
	m := &metronome{stop: make(chan struct{})}
	m.work.Go(func() {
		for due := time.Now().Add(time.Millisecond); ; due = time.Now().Add(time.Millisecond) {
			select {
			case <-m.stop:
				return
			case <-time.After(time.Until(due)):
				m.late = max(m.late, time.Since(due))
			}
		}
	})
	return m
}

func (m *metronome) end() time.Duration {
	close(m.stop)
	m.work.Wait()
	return m.late
}

// TestBlackHoledHolderIsToldFirst: a holder that is out of reach of everything
// knows that it lost its lease before the server can grant the next one. The
// deadline is compared strictly. The moment when the context ended may be later by
// what the machine was late with everything.
func TestBlackHoledHolderIsToldFirst(t *testing.T) {
	t.Parallel()
	for _, ttl := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		t.Run(ttl.String(), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			for round := range 4 {
				d, network := breakable(t, s)
				toldFirst(t, s, locksOver(t, d), network.BlackHole, ttl, time.Duration(round)*ttl/6)
				network.Heal()
			}
		})
	}
}

// toldFirst lets a holder lose its server some time after a grant, and checks
// the order of what follows.
func toldFirst(t *testing.T, s *redistest.Server, holder *stile.Locker, lose func(), ttl, after time.Duration) {
	t.Helper()
	others := openLocks(t, s.URL("prefix="+prefix))
	before := acquire(t, others, "k", &stile.Options{TTL: long})
	becomes := stand(t, holder, "k", &stile.Options{TTL: ttl})
	next := stand(t, others, "k", &stile.Options{TTL: long})
	release(t, before)
	first := becomes.granted(t)
	told := make(chan time.Time, 1)
	context.AfterFunc(first.Context(), func() { told <- time.Now() })
	<-time.After(after) // In the midst of a TTL, with or without a renewal before.
	if err := first.Err(); err != nil {
		t.Fatalf("the lease is lost with the network whole: %v", err)
	}
	pulse := startMetronome()
	lose()
	lease := next.granted(t)
	await(t, "the holder is told", first.Done())
	at, late := <-told, pulse.end()
	deadline := first.Deadline()
	since := get(t, others, "k").Holders[0].Since
	t.Logf("ttl %v: deadline %v and context's end %v before the next grant, which came after %v; the machine was late by %v",
		ttl, since.Sub(deadline).Round(time.Microsecond), since.Sub(at).Round(time.Microsecond), next.at.Sub(since).Round(time.Microsecond), late)
	if !deadline.Before(since) {
		t.Errorf("the holder's deadline was %v, and the next was granted at %v", deadline, since)
	}
	if at.Add(-late).After(since) {
		t.Errorf("the holder was told at %v, and the next was granted at %v", at, since)
	}
	if lease.Token() <= first.Token() {
		t.Errorf("token %d after token %d", lease.Token(), first.Token())
	}
	if err := first.Release(t.Context()); err == nil {
		t.Error("the release of a lost lease says that it was held")
	}
	release(t, lease)
}
