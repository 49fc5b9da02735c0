package redislock_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// A load is workers that take one key in turn, and a resource that sees who
// works on it.
type load struct {
	key     string
	stopped atomic.Bool
	work    sync.WaitGroup
	done    []atomic.Int64 // turns, by worker

	mu     sync.Mutex
	inside int
	last   uint64
	faults []string
	errs   map[string]int
}

// startLoad starts workers on lockers of their own, each with its share.
func startLoad(t *testing.T, key string, lockers, workers int, open func() *stile.Locker) *load {
	t.Helper()
	l := &load{key: key, done: make([]atomic.Int64, lockers*workers), errs: make(map[string]int)}
	for i := range lockers {
		locks := open()
		for j := range workers {
			l.work.Go(func() { l.worker(t.Context(), locks, &l.done[i*workers+j]) })
		}
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	l.stopped.Store(true)
	l.work.Wait()
}

func (l *load) worker(ctx context.Context, locks *stile.Locker, turns *atomic.Int64) {
	for !l.stopped.Load() && ctx.Err() == nil {
		err := locks.Do(ctx, l.key, &stile.Options{TTL: 10 * time.Second}, func(ctx context.Context, lease *stile.Lease) error {
			l.enter(lease)
			defer l.leave()
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
			return ctx.Err()
		})
		if err == nil {
			turns.Add(1)
			continue
		}
		l.mu.Lock()
		l.errs[err.Error()]++
		l.mu.Unlock()
	}
}

// enter is the resource: it is for one at a time, and fenced.
func (l *load) enter(lease *stile.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside++
	if l.inside != 1 {
		l.faults = append(l.faults, strconv.Itoa(l.inside)+" at once")
	}
	if lease.Token() <= l.last {
		l.faults = append(l.faults, "token "+strconv.FormatUint(lease.Token(), 10)+" after "+strconv.FormatUint(l.last, 10))
	}
	l.last = lease.Token()
}

func (l *load) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside--
}

// end waits until every worker has had one more turn, stops them, and checks
// what the resource saw.
func (l *load) end(t *testing.T) {
	t.Helper()
	before := l.turns()
	until(t, "every worker has had one more turn", func() bool {
		for i, n := range l.turns() {
			if n == before[i] {
				return false
			}
		}
		return true
	})
	l.stop()
	total, least, most := int64(0), l.turns()[0], int64(0)
	for _, n := range l.turns() {
		total, least, most = total+n, min(least, n), max(most, n)
	}
	t.Logf("%d turns, %d to %d by each worker; errors: %v", total, least, most, l.errs)
	if len(l.faults) > 0 {
		t.Errorf("%d times the resource was misused: %v", len(l.faults), l.faults[:min(5, len(l.faults))])
	}
}

func (l *load) turns() []int64 {
	turns := make([]int64, len(l.done))
	for i := range l.done {
		turns[i] = l.done[i].Load()
	}
	return turns
}

// TestClientKillUnderLoad: connections of all kinds are ended at random for a
// minute. Nobody works beside another, and everybody has turns to the end.
func TestClientKillUnderLoad(t *testing.T) {
	t.Parallel()
	span := time.Minute
	if testing.Short() {
		span = 5 * time.Second
	}
	s := redistest.Start(t)
	l := startLoad(t, "k", 4, 4, func() *stile.Locker { return openLocks(t, s.URL("prefix="+prefix)) })
	killed := 0
	for end := time.Now().Add(span); time.Now().Before(end); {
		<-time.After(time.Duration(20+rand.IntN(180)) * time.Millisecond)
		kill := []string{"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}
		switch ids := clientIDs(t, s); {
		case rand.IntN(10) == 0: // All at once.
		case rand.IntN(3) == 0:
			kill = []string{"CLIENT", "KILL", "TYPE", "pubsub"}
		case len(ids) > 0:
			kill = []string{"CLIENT", "KILL", "ID", ids[rand.IntN(len(ids))]}
		}
		n, err := s.Do(kill...)
		if err != nil && !errors.As(err, new(redistest.Error)) {
			t.Fatal(err)
		}
		if n, is := n.(int64); is {
			killed += int(n)
		}
	}
	l.end(t)
	t.Logf("%d connections were ended", killed)
	if killed < 10 {
		t.Errorf("only %d connections were ended: this has shown nothing", killed)
	}
	wantNothing(t, s, "k")
}
