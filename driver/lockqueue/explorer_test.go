package lockqueue_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// retention is how long a world remembers the last token of an idle key.
const retention = lockqueue.Micros(3)

// An explorer visits every state of a world, nearest first.
type explorer struct {
	world   *world
	machine machine
	// wrap puts a mutant between the machine and the memory. Nil: none.
	wrap func(*lockqueue.Memory) lockqueue.View
	// early: the store forgets idle keys one moment too early.
	early bool

	seen  map[string]struct{}
	found []step // how each node was found
	queue []node
	moves int // edges walked
	turns int // edges that led past World.ahead
}

// A step is how a node was found.
type step struct {
	from int
	move move
}

// explore walks every edge of every state and stops at the first violation,
// or after most states, if that is not 0. whole reports that nothing was left.
func (x *explorer) explore(most int) (whole bool, err error) {
	x.seen = map[string]struct{}{}
	start := node{now: lockqueue.Now{Lease: 1000, Wall: 5000}, peak: 5000}
	x.add(start, step{from: -1})
	for len(x.queue) > 0 {
		if most > 0 && len(x.found) >= most {
			return false, nil
		}
		n := x.queue[0]
		x.queue = x.queue[1:]
		for _, m := range x.world.moves(&n, x.early) {
			x.moves++
			next, err := x.walk(&n, &m)
			if err == nil && x.add(next, step{from: n.index, move: m}) {
				err = x.judgeSettle(&next)
			}
			if err != nil {
				return false, fmt.Errorf("%w\n%s", err, x.path(n.index, m))
			}
		}
	}
	return true, nil
}

// add queues a node unless one like it is known.
func (x *explorer) add(n node, how step) (isNew bool) {
	if a := x.world.ahead; a > 0 && int64(n.in.key.LastToken)-int64(n.now.Wall) > a {
		x.turns++
		return false
	}
	mark := x.world.fingerprint(&n)
	if _, known := x.seen[mark]; known {
		return false
	}
	x.seen[mark] = struct{}{}
	n.index = len(x.found)
	x.found = append(x.found, how)
	x.queue = append(x.queue, n)
	return true
}

// walk makes one move and judges it.
func (x *explorer) walk(from *node, m *move) (node, error) {
	to := *from
	switch m.what {
	case elapse:
		to.now.Lease += m.dt
		to.now.Wall += m.wall
		to.peak = max(to.peak, to.now.Wall)
		return to, nil
	case cut:
		to.cuts |= 1 << number(m.order.attempt.ID)
		return to, nil
	case heal:
		to.cuts &^= 1 << number(m.order.attempt.ID)
		return to, nil
	case forget:
		to.in.key = lockqueue.Key{}
		return to, nil
	}
	memory := from.in.restore()
	to.books = from.books.clone()
	res, err := x.send(memory, &to, &m.order)
	if err != nil {
		return to, err
	}
	to.due = 0
	if res.HasDue {
		to.due = res.Due
	}
	// Only waiters are asked whether they can be reached.
	cuts := uint64(0)
	for i := range to.in.line {
		cuts |= to.cuts & (1 << number(to.in.line[i].ID))
	}
	to.cuts = cuts
	return to, nil
}

// send runs one order over the memory and has the books of the node judge it.
func (x *explorer) send(memory *lockqueue.Memory, n *node, o *order) (res lockqueue.Result, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = broken("panic", "%v", r)
		}
	}()
	memory.CanReach = func(e lockqueue.Entry) bool { return !n.isCut(e.ID) }
	var view lockqueue.View = memory
	if x.wrap != nil {
		view = x.wrap(memory)
	}
	res, err = x.machine(view, n.now, o)
	if err != nil {
		return res, broken("error", "%v", err)
	}
	n.in = contentsOf(memory)
	return res, n.books.see(&sight{order: o, now: n.now, res: res, after: n.in, cut: n.isCut})
}

// judgeSettle checks that settling the key does nothing until it is due, and
// something then.
func (x *explorer) judgeSettle(n *node) error {
	if n.due <= n.now.Lease { // Time has moved on, or nothing is due.
		return nil
	}
	memory := n.in.restore()
	for _, at := range []lockqueue.Micros{n.now.Lease, n.due - 1, n.due} {
		probe := *n
		probe.now.Lease = at
		probe.books = n.books.clone()
		if _, err := x.send(memory, &probe, &order{verb: settle}); err != nil {
			return err
		}
		changed := probe.in.key != n.in.key
		if changed != (at >= n.due) {
			return broken("due", "settling at %d changes the key: %v; it is due at %d", at, changed, n.due)
		}
	}
	return nil
}

// path tells how a node was reached, and what was done there.
func (x *explorer) path(index int, last move) string {
	moves := []string{last.String()}
	for ; index >= 0 && x.found[index].from >= 0; index = x.found[index].from {
		moves = append(moves, x.found[index].move.String())
	}
	slices.Reverse(moves)
	return "  " + strings.Join(moves, "\n  ")
}

func exclusive(count, limit int, ttl lockqueue.Micros) kind {
	return kind{count: count, try: true, attempt: lockqueue.Attempt{
		Mode: driver.Exclusive, Limit: limit, TTL: ttl, Tokens: 1, WaiterTTL: 2,
	}}
}

func shared(count int, ttl lockqueue.Micros) kind {
	return kind{count: count, try: true, attempt: lockqueue.Attempt{
		Mode: driver.Shared, Limit: 1, TTL: ttl, Tokens: 1, WaiterTTL: 2,
	}}
}

func (k kind) minHold(d lockqueue.Micros) kind {
	k.attempt.MinHold = d
	return k
}

func (k kind) tokens(n int) kind {
	k.attempt.Tokens = n
	return k
}
