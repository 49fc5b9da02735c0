package lockqueue_test

import (
	"fmt"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A kind is a sort of attempt. Attempts of one kind can stand for one another,
// so the exploration never tells two of them apart.
type kind struct {
	attempt lockqueue.Attempt
	count   int // how many attempts of this kind there are
	try     bool
}

// A wall is how the wall clock moves when the lease clock moves by dt.
type wall func(dt lockqueue.Micros) lockqueue.Micros

var (
	forward wall = func(dt lockqueue.Micros) lockqueue.Micros { return dt }
	frozen  wall = func(lockqueue.Micros) lockqueue.Micros { return 0 }
	back    wall = func(lockqueue.Micros) lockqueue.Micros { return -2 }
)

// A world bounds one exploration.
type world struct {
	name   string
	kinds  []kind
	renews []lockqueue.Micros // TTLs that renewals ask for
	steps  []lockqueue.Micros // by how much time moves on
	walls  []wall
	breaks bool // operators break leases
	cuts   bool // waiters become unreachable, and reachable again
	// forget: idle keys are forgotten after retention. The wall clock then never
	// goes back by more than that.
	forget bool
	// ahead is how far the tokens may run ahead of the wall clock before the
	// exploration turns back. 0: it does not tell such states apart.
	ahead int64
	// minStates and minMoves are how many must be found at least. An exploration
	// that finds less has become blind.
	minStates, minMoves int
}

// A move is one edge of the exploration: an order, or something that happens
// around the key.
type move struct {
	what  what
	order order
	dt    lockqueue.Micros
	wall  lockqueue.Micros
}

type what uint8

const (
	send   what = iota
	elapse      // time moves on by dt, the wall clock by wall
	cut         // the attempt cannot be reached from now on
	heal        // it can again
	forget      // the store drops the idle key's record
)

func (m *move) String() string {
	switch m.what {
	case send:
		return m.order.String()
	case elapse:
		return fmt.Sprintf("time +%d, wall clock %+d", m.dt, m.wall)
	case cut:
		return "cut off " + name(m.order.attempt.ID)
	case heal:
		return "heal " + name(m.order.attempt.ID)
	default:
		return "forget the key"
	}
}

// A node is one state of the world.
type node struct {
	index int // where it was found; see explorer.found
	now   lockqueue.Now
	in    contents
	cuts  uint64 // bit n: attempt n cannot be reached
	books observer
	// due is what the last order's answer said, 0 if nothing.
	due lockqueue.Micros
	// peak is the latest that the wall clock ever showed.
	peak lockqueue.Micros
}

func (n *node) isCut(id driver.LeaseID) bool { return n.cuts&(1<<number(id)) != 0 }

// kindOf finds the kind of an attempt, by its number.
func (w *world) kindOf(id driver.LeaseID) (index int) {
	n := number(id)
	for i := range w.kinds {
		if n < w.kinds[i].count {
			return i
		}
		n -= w.kinds[i].count
	}
	panic("no such attempt")
}

// fingerprint writes what matters of a node for the future, and nothing else:
// times are relative to now, attempts go by kind, tokens and places by order.
func (w *world) fingerprint(n *node) string {
	b := make([]byte, 0, 48)
	left := func(until lockqueue.Micros) byte { return byte(max(until-n.now.Lease, 0)) }
	ahead := int64(n.in.key.LastToken) - int64(n.now.Wall)
	if w.ahead == 0 {
		ahead = min(max(ahead, -1), 0)
	}
	b = append(b, byte(max(ahead, -3)+3), byte(len(n.in.holders)))
	if w.forget {
		// What the store has forgotten, the observer has not.
		since := n.now.Wall - lockqueue.Micros(n.books.last)
		b = append(b, byte(n.peak-n.now.Wall), byte(max(min(since, 2*retention), -8)+8))
		switch {
		case n.in.key.LastToken == 0:
			b = append(b, 'f')
		case n.in.key.Idle():
			b = append(b, left(n.in.key.Used+retention))
		}
	}
	for i := range n.in.holders {
		e := &n.in.holders[i]
		b = append(b, byte(w.kindOf(e.ID))<<4|byte(e.Phase))
		switch e.Phase {
		case lockqueue.Held:
			b = append(b, left(e.Expires), left(e.Since+e.MinHold))
		default:
			b = append(b, left(e.Until()))
		}
	}
	for i := range n.in.line {
		e := &n.in.line[i]
		b = append(b, byte(w.kindOf(e.ID))<<4, left(e.Expires))
		if n.isCut(e.ID) {
			b[len(b)-2]++
		}
	}
	return string(b)
}

// moves lists all that can happen in a node. Of the attempts of one kind that
// are not there only the first one moves: the others would do the same.
func (w *world) moves(n *node, early bool) []move {
	moves := []move{{what: send, order: order{verb: settle}}}
	for _, dt := range w.steps {
		for _, wall := range w.walls {
			if w.forget && n.peak-(n.now.Wall+wall(dt)) > retention {
				continue // Further back than is promised to do no harm.
			}
			moves = append(moves, move{what: elapse, dt: dt, wall: wall(dt)})
		}
	}
	if when := n.now; w.forget {
		if early {
			when.Lease, when.Wall = when.Lease+1, when.Wall+1
		}
		if n.in.key.Forgettable(when, retention) {
			moves = append(moves, move{what: forget})
		}
	}
	there := map[driver.LeaseID]bool{}
	for i := range n.in.holders {
		there[n.in.holders[i].ID] = true
		moves = w.orders(moves, n, n.in.holders[i].ID)
	}
	for i := range n.in.line {
		id := n.in.line[i].ID
		there[id] = true
		moves = w.orders(moves, n, id)
		if w.cuts {
			turn := cut
			if n.isCut(id) {
				turn = heal
			}
			moves = append(moves, move{what: turn, order: order{attempt: lockqueue.Attempt{ID: id}}})
		}
	}
	next := 0
	for i := range w.kinds {
		fresh := false
		for range w.kinds[i].count {
			id := attemptID(next)
			next++
			if !there[id] && !fresh {
				fresh = true
				moves = w.orders(moves, n, id)
			}
		}
	}
	return moves
}

// orders lists all that can be ordered about one attempt.
func (w *world) orders(moves []move, n *node, id driver.LeaseID) []move {
	k := &w.kinds[w.kindOf(id)]
	attempt := k.attempt
	attempt.ID = id
	add := func(o order) {
		o.attempt = attempt
		moves = append(moves, move{what: send, order: o})
	}
	add(order{verb: acquire})
	if k.try {
		add(order{verb: tryAcquire})
	}
	token := uint64(0)
	if h := n.books.hold(id); h != nil {
		token = h.token
		add(order{verb: renew, ttl: 9, token: token - 1}) // An older lease of this id.
	}
	for _, ttl := range w.renews {
		add(order{verb: renew, ttl: ttl, token: token})
	}
	add(order{verb: release})
	if w.breaks {
		add(order{verb: breakGently})
		add(order{verb: breakNow})
	}
	return moves
}
