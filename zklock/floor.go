package zklock

import (
	"math"
	"path"
	"sync"

	"github.com/stilelock/stile/zklock/internal/zk"
)

// mostFloors bounds the folders that a session remembers, and with them its watches
// on folders.
const mostFloors = 1024

// floors are what a session remembers of folders, so that who takes the same free key
// again and again need not list it.
//
// The server numbers nodes by counting what was made in the folder. So if all nodes
// up to a number have gone, and the next node gets the number after that one, then
// nobody else is there. That stays true for as long as the folder is the same one: a
// watch tells when it was deleted, for the count begins anew with another. Events
// come before the answers to what happened later. Over another connection they may
// not, so what is known ends with the connection.
type floors struct {
	mu    sync.Mutex
	known map[string]*floor
}

// A floor is what is known of one folder.
type floor struct {
	seq  int32 // no node up to this number is left
	calm bool  // the last one who came was first at once

	watch       *zk.Watch // on the folder, since before seq; nil if it is not watched
	connections int       // the session's when it was set
}

// holds reports whether what is known of numbers is true still.
func (k *floor) holds(connections int) bool {
	return k.watch != nil && k.watch.Fired() == 0 && k.connections == connections
}

// A plan says how a node is made, and what may be learned by it.
type plan struct {
	floor   *floor    // what was known before; nil if that is nothing, or it is over
	trust   bool      // no list is needed if the node gets the next number
	watch   *zk.Watch // is set on the folder first; nil if it is not to be watched
	started int       // the session's connections before anything was sent
}

// plan is how to make a node in a folder. The folder is watched when somebody comes
// a second time, and was alone there: most keys are taken once, or by many.
func (f *floors) plan(s *zk.Session, folder string) plan {
	p := plan{started: s.Connections()}
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.known[folder]
	switch {
	case known == nil:
	case known.holds(p.started):
		p.floor, p.trust = known, known.calm
	case known.calm:
		p.watch = s.NewWatch(nil)
	}
	return p
}

// isFirst reports whether a node that was made by a plan, and whose number a server
// has just answered, is known to be the only one.
func (f *floors) isFirst(s *zk.Session, p *plan, seq int32) bool {
	connections := s.Connections()
	f.mu.Lock()
	defer f.mu.Unlock()
	return p.trust && p.floor.holds(connections) && p.floor.seq < math.MaxInt32 && p.floor.seq+1 == seq
}

// crowded takes note that somebody who came was not first.
func (f *floors) crowded(folder string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.known[folder]; known != nil {
		known.calm = false
	}
}

// left takes note that a node that was made by a plan has gone, and before it all
// older ones; calm says that there was none from the start. It takes the plan's watch
// over.
func (f *floors) left(s *zk.Session, folder string, p *plan, seq int32, calm bool) {
	connections := s.Connections()
	var unused []*zk.Watch
	f.mu.Lock()
	known := f.known[folder]
	switch {
	case p.watch != nil && p.started == connections && p.watch.Fired() == 0 && (known == nil || !known.holds(connections)):
		if known != nil && known.watch != nil {
			unused = append(unused, known.watch)
		}
		unused = append(unused, f.keepLocked(folder, &floor{seq: seq, calm: calm, watch: p.watch, connections: connections})...)
		p.watch = nil
	case known == nil && calm:
		unused = f.keepLocked(folder, &floor{calm: calm})
	case known == nil:
	case p.floor == known:
		known.seq, known.calm = max(known.seq, seq), calm
	default:
		known.calm = calm
	}
	f.mu.Unlock()
	for _, w := range unused {
		w.Cancel()
	}
}

// keepLocked remembers a folder, for another one if it has to. It returns the watches
// that nobody needs any more.
func (f *floors) keepLocked(folder string, k *floor) (unused []*zk.Watch) {
	if f.known == nil {
		f.known = map[string]*floor{}
	}
	if _, there := f.known[folder]; !there && len(f.known) >= mostFloors {
		for other, victim := range f.known { // Any: those in use come back.
			delete(f.known, other)
			if victim.watch != nil {
				unused = append(unused, victim.watch)
			}
			break
		}
	}
	f.known[folder] = k
	return unused
}

// number is that of a node that was made for an attempt.
func number(node string) int32 {
	e, _ := parseEntry(path.Base(node))
	return e.seq
}
