package memlock

import (
	"container/list"
	"sync"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

const (
	defaultRetention = time.Hour
	// forever is the waiter lease of this driver: a waiter is a goroutine
	// inside Acquire, which withdraws itself when it ends.
	forever = lockqueue.Micros(1 << 60)
	// longestSleep bounds a timer, because Go's timers stand still while the
	// machine is suspended and the lease clock does not.
	longestSleep = time.Second
)

// A store is what the clients of one memory share.
type store struct {
	clock     driver.Clock
	retention lockqueue.Micros

	mu      sync.Mutex
	clients int
	keys    map[string]*keyState
	idle    *list.List // of *keyState, the longest idle one first
	waiters map[driver.LeaseID]*waiter
	nudges  map[driver.LeaseID]map[*func()]struct{}
}

// A keyState is one key: its machine's view, and the timer that runs the
// machine when a lease gives way while others wait.
type keyState struct {
	name  string
	view  *lockqueue.Memory
	timer *time.Timer
	idle  *list.Element
}

// A waiter is one attempt in line, for all calls of Acquire that wait for it.
type waiter struct {
	calls int
	done  chan struct{} // closed after the fields below are set
	token uint64
	since lockqueue.Micros
	err   error // not nil: it was withdrawn
}

func newStore(opts *Options) *store {
	s := &store{
		clock:     opts.Clock,
		retention: lockqueue.FromDuration(opts.Retention),
		keys:      make(map[string]*keyState),
		idle:      list.New(),
		waiters:   make(map[driver.LeaseID]*waiter),
		nudges:    make(map[driver.LeaseID]map[*func()]struct{}),
	}
	if s.clock == nil {
		s.clock = driver.SystemClock
	}
	if s.retention <= 0 {
		s.retention = lockqueue.FromDuration(defaultRetention)
	}
	return s
}

func (s *store) now() lockqueue.Now {
	return lockqueue.Now{Lease: lockqueue.Micros(time.Duration(s.clock()) / time.Microsecond), Wall: wallNow()}
}

// run runs one command of the machine and does what its result asks for. The
// caller holds s.mu.
func (s *store) run(name string, command func(lockqueue.View, lockqueue.Now) (lockqueue.Result, error)) (lockqueue.Result, lockqueue.Now, error) {
	now := s.now()
	key := s.keys[name]
	if key == nil {
		key = &keyState{name: name, view: lockqueue.NewMemory()}
		s.keys[name] = key
	}
	result, err := command(key.view, now)
	if err != nil {
		return result, now, err
	}
	for i := range result.Woken {
		s.wake(&result.Woken[i], nil)
	}
	s.arm(key, &result, now)
	s.retire(key, now)
	return result, now, nil
}

// wake ends the wait of an attempt: err is nil when it was granted.
func (s *store) wake(e *lockqueue.Entry, err error) {
	if w := s.waiters[e.ID]; w != nil {
		w.token, w.since, w.err = e.Token, e.Since, err
		delete(s.waiters, e.ID)
		close(w.done)
	}
}

// arm sets the key's timer to the time at which its next lease gives way.
func (s *store) arm(key *keyState, result *lockqueue.Result, now lockqueue.Now) {
	if !result.HasDue || s.clients == 0 {
		if key.timer != nil {
			key.timer.Stop()
		}
		return
	}
	sleep := min((result.Due - now.Lease).Duration(), longestSleep)
	if key.timer == nil {
		key.timer = time.AfterFunc(sleep, func() { s.settle(key.name) })
		return
	}
	key.timer.Reset(sleep)
}

func (s *store) settle(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[name] == nil {
		return
	}
	_, _, _ = s.run(name, lockqueue.Settle) // A memory view has no errors.
}

// retire keeps the list of idle keys, and drops those whose token need not be
// remembered any more.
func (s *store) retire(key *keyState, now lockqueue.Now) {
	record, _ := key.view.Key()
	if key.idle != nil {
		s.idle.Remove(key.idle)
		key.idle = nil
	}
	switch {
	case !record.Idle():
	case record.LastToken == 0:
		delete(s.keys, key.name) // Never used: asking about a key leaves no trace.
	default:
		key.idle = s.idle.PushBack(key)
	}
	for oldest := s.idle.Front(); oldest != nil; oldest = s.idle.Front() {
		old := oldest.Value.(*keyState)
		record, _ := old.view.Key()
		if !record.Forgettable(now, s.retention) {
			return
		}
		s.idle.Remove(oldest)
		delete(s.keys, old.name)
	}
}

func (s *store) addClient() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients++
}

// removeClient stops all timers when the last client goes.
func (s *store) removeClient() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients--
	if s.clients > 0 {
		return
	}
	for _, key := range s.keys {
		if key.timer != nil {
			key.timer.Stop()
		}
	}
}
