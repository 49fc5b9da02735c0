package sqlitelock

import (
	"sync"
	"sync/atomic"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// listeners are those of this process who want to hear of an attempt: calls of
// Acquire that wait, and holders who asked for nudges. Its zero value is ready.
// It is safe for concurrent use.
type listeners struct {
	mu      sync.Mutex
	waiters map[driver.LeaseID][]*waiter
	nudges  map[driver.LeaseID][]*nudge
}

// A waiter is one call of Acquire that stands in line, or is about to.
type waiter struct {
	key string
	id  driver.LeaseID
	// hint has a token in it when the attempt should be looked at.
	hint chan struct{}
	// granted is the lease, if this process's own command granted it.
	granted atomic.Pointer[lockqueue.Entry]
	// withdrawn: a Release has taken the attempt out of line.
	withdrawn atomic.Bool
}

func (w *waiter) wake() {
	select {
	case w.hint <- struct{}{}:
	default: // It has been told and has not looked yet.
	}
}

// A nudge is a holder's wish to hear of its lease.
type nudge struct {
	key     string
	mu      sync.Mutex
	f       func()
	stopped bool
}

func (n *nudge) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.stopped {
		n.f()
	}
}

func (l *listeners) addWaiter(key string, id driver.LeaseID) *waiter {
	w := &waiter{key: key, id: id, hint: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiters == nil {
		l.waiters = make(map[driver.LeaseID][]*waiter)
	}
	l.waiters[id] = append(l.waiters[id], w)
	return w
}

// removeWaiter may be repeated. It reports whether w was the last to wait for
// its attempt.
func (l *listeners) removeWaiter(w *waiter) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters[w.id] = without(l.waiters[w.id], w)
	last = len(l.waiters[w.id]) == 0
	if last {
		delete(l.waiters, w.id)
	}
	return last
}

func (l *listeners) addNudge(key string, id driver.LeaseID, f func()) (stop func()) {
	n := &nudge{key: key, f: f}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nudges == nil {
		l.nudges = make(map[driver.LeaseID][]*nudge)
	}
	l.nudges[id] = append(l.nudges[id], n)
	return func() {
		l.mu.Lock()
		l.nudges[id] = without(l.nudges[id], n)
		if len(l.nudges[id]) == 0 {
			delete(l.nudges, id)
		}
		l.mu.Unlock()
		n.mu.Lock() // Past a call of f that is under way.
		n.stopped = true
		n.mu.Unlock()
	}
}

// without returns a new list: others may be reading the old one.
func without[T comparable](list []T, drop T) []T {
	var rest []T
	for _, item := range list {
		if item != drop {
			rest = append(rest, item)
		}
	}
	return rest
}

// granted tells the waiters of an attempt that this process has granted it. It
// reports whether there are any.
func (l *listeners) granted(key string, e *lockqueue.Entry) bool {
	found := false
	for _, w := range l.waitersOf(e.ID) {
		if w.key == key {
			found = true
			w.granted.Store(e)
			w.wake()
		}
	}
	return found
}

// withdrawn tells the waiters of an attempt that it is out of line. It reports
// whether there are any.
func (l *listeners) withdrawn(id driver.LeaseID) bool {
	waiters := l.waitersOf(id)
	for _, w := range waiters {
		w.withdrawn.Store(true)
		w.wake()
	}
	return len(waiters) > 0
}

// nudge tells the holders of a lease. It reports whether there are any.
func (l *listeners) nudge(id driver.LeaseID) bool {
	l.mu.Lock()
	nudges := l.nudges[id]
	l.mu.Unlock()
	for _, n := range nudges {
		n.tell()
	}
	return len(nudges) > 0
}

func (l *listeners) waitersOf(id driver.LeaseID) []*waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiters[id][:len(l.waiters[id]):len(l.waiters[id])]
}

// lone reports whether just one attempt is waited for.
func (l *listeners) lone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiters) == 1
}

// wakeAll makes every waiter look.
func (l *listeners) wakeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, waiters := range l.waiters {
		for _, w := range waiters {
			w.wake()
		}
	}
}

// news answers a message from another process.
func (l *listeners) news(kind messageKind, ids []driver.LeaseID) {
	if len(ids) == 0 {
		l.wakeAll()
	}
	for _, id := range ids {
		if kind == withdrawn {
			l.withdrawn(id)
			continue
		}
		for _, w := range l.waitersOf(id) {
			w.wake()
		}
		l.nudge(id)
	}
}
