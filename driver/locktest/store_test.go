package locktest_test

import (
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A store is the lock service that the suite is tried on: the state machine
// of driver/lockqueue behind a TCP port. With a bug it breaks one promise.
type store struct {
	bug string

	mu       sync.Mutex
	keys     map[string]*lockqueue.Memory
	timers   map[string]*time.Timer
	waits    map[driver.LeaseID][]*wait
	watchers map[driver.LeaseID][]chan struct{}
	shared   map[string]bool // keys that readers have used
	stopped  bool
}

// A wait is one connection that waits for an attempt.
type wait struct {
	over  chan struct{} // closed after the fields below are set
	entry lockqueue.Entry
	lost  bool
}

func newStore(bug string) *store {
	return &store{
		bug: bug, keys: make(map[string]*lockqueue.Memory), timers: make(map[string]*time.Timer),
		waits: make(map[driver.LeaseID][]*wait), watchers: make(map[driver.LeaseID][]chan struct{}),
		shared: make(map[string]bool),
	}
}

func (s *store) has(bug ...string) bool { return slices.Contains(bug, s.bug) }

func (s *store) now() lockqueue.Now {
	now := lockqueue.Now{
		Lease: lockqueue.FromDuration(time.Duration(driver.SystemClock())),
		Wall:  lockqueue.Micros(time.Now().UnixMicro()),
	}
	switch {
	case s.has("early expiry"):
		now.Lease *= 3
	case s.has("never expires", "keeps dead waiters"):
		now.Lease = 1
	}
	if s.has("token repeats", "counts from one", "forgets on close", "forgets on restart") {
		now.Wall = 1
	}
	return now
}

// forgetAll loses the data.
func (s *store) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.keys)
}

func (s *store) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, timer := range s.timers {
		timer.Stop()
	}
}

// name is the name under which a key is kept.
func (s *store) name(key string) string {
	switch s.bug {
	case "keys fold case":
		return strings.ToLower(key)
	case "keys are paths":
		return path.Clean(key)
	case "keys are cut at a slash":
		key, _, _ = strings.Cut(key, "/")
	case "keys are cut at 255 bytes":
		return key[:min(255, len(key))]
	}
	return key
}

// run runs a command on a key and tells those whom it concerns. The caller
// holds s.mu.
func (s *store) run(key string, command func(*view, lockqueue.Now) (lockqueue.Result, error)) (lockqueue.Result, lockqueue.Now) {
	key = s.name(key)
	now := s.now()
	memory := s.keys[key]
	if memory == nil {
		memory = lockqueue.NewMemory()
		s.keys[key] = memory
	}
	result, err := command(&view{Memory: memory, store: s, name: key}, now)
	if err != nil {
		panic(err) // A view in memory has no errors.
	}
	for _, e := range result.Woken {
		if s.has("ttl counts from the request") {
			// Since the entry has moved on, its first reading is in Addr.
			since, _ := time.ParseDuration(e.Addr)
			e.Expires = lockqueue.FromDuration(since) + e.TTL
			_ = memory.Put(e)
			result.Due = now.Lease
		}
		s.tell(e, false)
	}
	if result.HasDue && !s.stopped && !s.has("no expiry timer") {
		s.arm(key, (result.Due - now.Lease).Duration())
	}
	return result, now
}

func (s *store) tell(e lockqueue.Entry, lost bool) {
	for _, w := range s.waits[e.ID] {
		w.entry, w.lost = e, lost
		close(w.over)
	}
	delete(s.waits, e.ID)
}

func (s *store) arm(key string, in time.Duration) {
	if old := s.timers[key]; old != nil {
		old.Stop()
	}
	if s.has("early expiry") {
		in /= 3
	}
	s.timers[key] = time.AfterFunc(in, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.run(key, func(v *view, now lockqueue.Now) (lockqueue.Result, error) { return lockqueue.Settle(v, now) })
	})
}

// A view is a key's memory, seen through a bug.
type view struct {
	*lockqueue.Memory
	store *store
	name  string
}

// First returns the first in line.
func (v *view) First() (lockqueue.Entry, error) {
	line := v.Line()
	if v.store.has("last come, first served") {
		return line[len(line)-1], nil
	}
	return line[0], nil
}

// Key returns the key's record.
func (v *view) Key() (lockqueue.Key, error) {
	key, err := v.Memory.Key()
	if v.store.has("token repeats") {
		key.LastToken = 0
	}
	return key, err
}

// holders returns all that hold the key.
func (v *view) holders() []lockqueue.Entry {
	key, _ := v.Key()
	holders, _ := v.Holders(key.Held)
	return holders
}

// drop takes a waiter or holder out without letting anybody move up.
func (v *view) drop(e lockqueue.Entry) {
	key, _ := v.Key()
	if e.Phase == lockqueue.Waiting {
		key.Waiting--
	} else {
		key.Held--
	}
	_ = v.Remove(e)
	_ = v.SetKey(key)
}

// addHolder grants e, whoever holds the key.
func (v *view) addHolder(now lockqueue.Now, e lockqueue.Entry) lockqueue.Result {
	key, _ := v.Key()
	key.Held++
	key.LastToken = max(key.LastToken+1, uint64(now.Wall))
	key.Limit, key.Mode = max(key.Limit, 1), e.Mode
	e.Phase, e.Token, e.Since, e.SinceWall, e.Expires = lockqueue.Held, key.LastToken, now.Lease, now.Wall, now.Lease+e.TTL
	_ = v.SetKey(key)
	_ = v.Put(e)
	return lockqueue.Result{Status: lockqueue.Granted, Entry: e}
}
