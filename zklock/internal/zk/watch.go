package zk

import (
	"errors"
	"slices"
	"sync/atomic"
)

// An EventType says what has happened to a watched node.
type EventType int32

// Types of events.
const (
	// Over: the session is over, and nothing else will be heard.
	Over EventType = -1
	// Created, Deleted, Changed: the node itself, or its data.
	Created EventType = 1
	Deleted EventType = 2
	Changed EventType = 3
)

// A Watch hears of the next change of one node, once. Events come in the order
// of the transactions: when the event of one watch is there, the events of all
// earlier transactions are, for all watches of the session. A watch lives on
// through a change of connection; what happened meanwhile is heard then, in no
// order.
type Watch struct {
	c       chan EventType
	notify  func()
	fired   atomic.Int32
	session *Session

	// Guarded by session.mu.
	path     string
	isSet    bool
	absent   bool // it was set on a node that was not there
	canceled bool
}

// NewWatch returns a watch to be given to one request. It is set when that
// request is answered. notify is called when it has heard; it does not block, asks
// nothing of the session, and may be nil.
func (s *Session) NewWatch(notify func()) *Watch {
	return &Watch{c: make(chan EventType, 1), notify: notify, session: s}
}

// C delivers the event.
func (w *Watch) C() <-chan EventType { return w.c }

// Fired returns the event, or 0 if there is none yet.
func (w *Watch) Fired() EventType { return EventType(w.fired.Load()) }

// Cancel takes the watch away, here and, as far as it can be reached, at the
// server.
func (w *Watch) Cancel() {
	s := w.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.canceled {
		return
	}
	w.canceled = true
	if !w.isSet {
		return
	}
	w.isSet = false
	rest := slices.DeleteFunc(s.watches[w.path], func(other *Watch) bool { return other == w })
	if len(rest) > 0 {
		s.watches[w.path] = rest
		return
	}
	delete(s.watches, w.path)
	s.unwatchLocked(w.path)
	if s.wire != nil {
		s.flush(s.wire)
	}
}

// unwatchLocked has the server forget a watch that nobody here has any more. The
// server keeps one for each node: a request that is about to set it anew may be
// under way.
func (s *Session) unwatchLocked(path string) {
	if s.wire == nil || s.setting[path] > 0 {
		return
	}
	s.startLocked(&removeWatches{path})
}

// settingLocked counts the requests under way that set a watch on a node.
func (s *Session) settingLocked(r Request, by int) {
	if set, can := r.(watcher); can {
		if path, w := set.watch(); w != nil {
			if s.setting[path] += by; s.setting[path] == 0 {
				delete(s.setting, path)
			}
		}
	}
}

// watchLocked sets the watch of a request that was answered.
func (s *Session) watchLocked(r Request, err error) {
	set, can := r.(watcher)
	if !can {
		return
	}
	path, w := set.watch()
	if w == nil {
		return
	}
	_, exists := r.(*Exists)
	absent := exists && errors.Is(err, NoNode)
	if err != nil && !absent {
		return
	}
	if w.canceled || w.isSet || w.Fired() != 0 { // A second request changes nothing: a watch hears once.
		if len(s.watches[path]) == 0 {
			s.unwatchLocked(path)
		}
		return
	}
	w.path, w.isSet, w.absent = path, true, absent
	s.watches[path] = append(s.watches[path], w)
}

// fireLocked tells all who watch a node.
func (s *Session) fireLocked(path string, event EventType) {
	watches := s.watches[path]
	delete(s.watches, path)
	for _, w := range watches {
		w.isSet = false
		w.fired.Store(int32(event))
		w.c <- event // It has room for the one event that a watch hears.
		if w.notify != nil {
			w.notify()
		}
	}
}

// watchesFrame bounds a request that sets watches anew: servers take 1 MB.
const watchesFrame = 128 << 10

// rewatchLocked writes the requests that set all watches on a new connection. The
// server answers with what happened since the last of which all of them have heard.
// It returns how many requests that took.
func (s *Session) rewatchLocked(e *encoder) (requests int) {
	var there, absent []string
	size := 0
	flush := func() {
		if len(there)+len(absent) == 0 {
			return
		}
		requests++
		e.frame(func(e *encoder) {
			e.int32(xidSetWatches)
			e.int32(opSetWatches)
			e.int64(s.watchedTo)
			e.strings(there)
			e.strings(absent)
			e.strings(nil) // Of children there are none.
		})
		there, absent, size = nil, nil, 0
	}
	for path, watches := range s.watches {
		if slices.ContainsFunc(watches, func(w *Watch) bool { return w.absent }) {
			absent = append(absent, path)
		}
		if slices.ContainsFunc(watches, func(w *Watch) bool { return !w.absent }) {
			there = append(there, path)
		}
		if size += len(path) + 4; size > watchesFrame {
			flush()
		}
	}
	flush()
	return requests
}
