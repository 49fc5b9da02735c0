package lockqueue_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stilelock/stile/driver/lockqueue"
)

// The worlds that are explored. Each is finite and is visited whole: every
// order in every state that these attempts can bring a key into.
var worlds = []world{
	{
		name:   "mutex",
		kinds:  []kind{exclusive(2, 1, 2).minHold(3), exclusive(2, 1, 3).tokens(3)},
		renews: []lockqueue.Micros{1, 4}, steps: []lockqueue.Micros{1, 2}, walls: []wall{forward}, breaks: true,
		minStates: 4000, minMoves: 130000,
	},
	{
		name:   "readers and writers",
		kinds:  []kind{exclusive(2, 1, 2), shared(3, 2).tokens(3)},
		renews: []lockqueue.Micros{3}, steps: []lockqueue.Micros{1, 2}, walls: []wall{forward}, breaks: true,
		minStates: 12500, minMoves: 430000,
	},
	{
		name:   "readers and writers with everything",
		kinds:  []kind{exclusive(2, 1, 2).minHold(3), shared(2, 1).minHold(2)},
		renews: []lockqueue.Micros{3}, steps: []lockqueue.Micros{1}, walls: []wall{forward}, breaks: true, cuts: true,
		minStates: 19000, minMoves: 560000,
	},
	{
		name:   "semaphore of 3",
		kinds:  []kind{exclusive(5, 3, 2)},
		renews: []lockqueue.Micros{3}, steps: []lockqueue.Micros{1}, walls: []wall{forward}, breaks: true,
		minStates: 6000, minMoves: 210000,
	},
	{
		name:   "semaphore of 2",
		kinds:  []kind{exclusive(2, 2, 2).minHold(3), exclusive(2, 2, 2)},
		renews: []lockqueue.Micros{3}, steps: []lockqueue.Micros{1, 2}, walls: []wall{forward}, breaks: true,
		minStates: 8500, minMoves: 250000,
	},
	{
		name:   "different limits",
		kinds:  []kind{exclusive(1, 1, 2), shared(2, 2).minHold(3), exclusive(3, 2, 2)},
		renews: []lockqueue.Micros{1, 3}, steps: []lockqueue.Micros{1, 2}, walls: []wall{forward}, breaks: true,
		minStates: 1800, minMoves: 60000,
	},
	{
		name:   "unreachable waiters",
		kinds:  []kind{exclusive(2, 1, 2), shared(2, 2)},
		renews: []lockqueue.Micros{3}, steps: []lockqueue.Micros{1, 2}, walls: []wall{forward}, cuts: true,
		minStates: 4500, minMoves: 100000,
	},
	{
		name:   "unreachable waiters of a semaphore",
		kinds:  []kind{exclusive(4, 2, 2)},
		renews: []lockqueue.Micros{3}, steps: []lockqueue.Micros{1, 2}, walls: []wall{forward}, cuts: true,
		minStates: 600, minMoves: 13000,
	},
	{
		name:   "any wall clock",
		kinds:  []kind{exclusive(2, 1, 2).tokens(3), shared(2, 1)},
		renews: []lockqueue.Micros{3}, steps: []lockqueue.Micros{1}, walls: []wall{forward, frozen, back}, ahead: 9,
		minStates: 8000, minMoves: 170000,
	},
	{
		name:  "forgotten keys",
		kinds: []kind{exclusive(1, 1, 1).tokens(3), exclusive(2, 1, 2)},
		steps: []lockqueue.Micros{1, 2}, walls: []wall{forward, frozen, back}, ahead: 9, forget: true,
		minStates: 3600, minMoves: 58000,
	},
}

// hurried is how many states of each world are visited under -short, nearest
// first.
const hurried = 1200

// TestExplore visits every state of every world and judges every move: some
// 71,000 states and 2,000,000 moves, which takes about 10 s on two slow cores
// and four times as long under the race detector. Under -short it stops early,
// and says so.
func TestExplore(t *testing.T) {
	most := 0
	if testing.Short() {
		most = hurried
		t.Logf("in a hurry: at most %d states of each world", most)
	}
	var states, moves atomic.Int64
	t.Cleanup(func() { // The worlds are done then.
		summary := fmt.Sprintf("explored %d worlds: %d distinct states, %d moves", len(worlds), states.Load(), moves.Load())
		t.Log(summary)
		if testing.Verbose() {
			fmt.Println(summary)
		}
	})
	for i := range worlds {
		w := &worlds[i]
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			x := &explorer{world: w, machine: theMachine}
			whole, err := x.explore(most)
			if err != nil {
				t.Fatal(err)
			}
			states.Add(int64(len(x.found)))
			moves.Add(int64(x.moves))
			t.Logf("%d distinct states, %d moves, %d turned back, whole: %v", len(x.found), x.moves, x.turns, whole)
			switch {
			case most == 0 && !whole:
				t.Error("the world was not explored whole")
			case whole && (len(x.found) < w.minStates || x.moves < w.minMoves):
				t.Errorf("the exploration has become blind: found %d states and %d moves, want at least %d and %d", len(x.found), x.moves, w.minStates, w.minMoves)
			case !whole && len(x.found) < most:
				t.Errorf("stopped after %d states, before %d", len(x.found), most)
			}
		})
	}
}
