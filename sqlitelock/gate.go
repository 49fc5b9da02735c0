package sqlitelock

import (
	"fmt"
	"sync"
	"time"
)

// A gate lets the stores of one process write to a file one at a time, in the
// order in which they came. Without it a crowd of them would all try for
// SQLite's lock, again and again, and keep one another from getting it.
type gate struct {
	path  string
	inUse chan struct{} // full while somebody is through
	users int           // under gates.Mutex
}

var gates struct {
	sync.Mutex
	byPath map[string]*gate
}

// openGate returns the gate of the file at path, which resolvePath returned.
// It is to be closed.
func openGate(path string) *gate {
	gates.Lock()
	defer gates.Unlock()
	g := gates.byPath[path]
	if g == nil {
		g = &gate{path: path, inUse: make(chan struct{}, 1)}
		if gates.byPath == nil {
			gates.byPath = make(map[string]*gate)
		}
		gates.byPath[path] = g
	}
	g.users++
	return g
}

func (g *gate) close() {
	gates.Lock()
	defer gates.Unlock()
	g.users--
	if g.users == 0 {
		delete(gates.byPath, g.path)
	}
}

// enter waits for its turn, for at most limit. It is followed by leave unless
// it fails.
func (g *gate) enter(limit time.Duration) error {
	select {
	case g.inUse <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case g.inUse <- struct{}{}:
		return nil
	case <-timer.C:
		return fmt.Errorf("wait %v for its turn: %w", limit, errBusy)
	}
}

func (g *gate) leave() { <-g.inUse }
