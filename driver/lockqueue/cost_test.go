package lockqueue_test

import (
	"fmt"
	"testing"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A countingView counts what the machine asks of a view.
type countingView struct {
	lockqueue.View
	asked int
}

func (v *countingView) Key() (lockqueue.Key, error) {
	v.asked++
	return v.View.Key()
}

func (v *countingView) SetKey(k lockqueue.Key) error {
	v.asked++
	return v.View.SetKey(k)
}

func (v *countingView) Entry(id driver.LeaseID) (lockqueue.Entry, bool, error) {
	v.asked++
	return v.View.Entry(id)
}

func (v *countingView) Put(e lockqueue.Entry) error {
	v.asked++
	return v.View.Put(e)
}

func (v *countingView) Remove(e lockqueue.Entry) error {
	v.asked++
	return v.View.Remove(e)
}

func (v *countingView) First() (lockqueue.Entry, error) {
	v.asked++
	return v.View.First()
}

func (v *countingView) NextDue() (lockqueue.Entry, error) {
	v.asked++
	return v.View.NextDue()
}

func (v *countingView) Holders(limit int) ([]lockqueue.Entry, error) {
	v.asked++ // It names 8 at most.
	return v.View.Holders(limit)
}

func (v *countingView) Reachable(e lockqueue.Entry) bool {
	v.asked++
	return v.View.Reachable(e)
}

// A crowd is a key with n waiters behind one holder, or behind n of a
// semaphore.
type crowd struct {
	view    lockqueue.View
	now     lockqueue.Now
	limit   int
	holders []driver.LeaseID // a ring: the one at first has held for longest
	waiters []driver.LeaseID // a ring
	first   int
}

// endless is a time that does not pass in these tests.
const endless = lockqueue.Micros(1 << 50)

func newCrowd(view lockqueue.View, holders, waiters int) *crowd {
	c := &crowd{view: view, limit: holders, now: lockqueue.Now{Lease: 1, Wall: 1}}
	for n := range holders + waiters {
		id := driver.LeaseID{byte(n), byte(n >> 8), byte(n >> 16), 1}
		if res := c.acquire(id); res.Status == lockqueue.Granted {
			c.holders = append(c.holders, id)
		} else {
			c.waiters = append(c.waiters, id)
		}
	}
	return c
}

// must panics on an error or on an unexpected answer: what is measured must be
// what is meant.
func must(res lockqueue.Result, err error, want lockqueue.Status) lockqueue.Result {
	if err != nil || res.Status != want {
		panic(fmt.Sprintf("status %d, want %d, %v", res.Status, want, err))
	}
	return res
}

func (c *crowd) acquire(id driver.LeaseID) lockqueue.Result {
	c.now.Lease++
	c.now.Wall++
	res, err := lockqueue.Acquire(c.view, c.now, &lockqueue.Attempt{ID: id, Limit: c.limit, TTL: endless, WaiterTTL: endless, Tokens: 1})
	return must(res, err, res.Status)
}

func (c *crowd) release(id driver.LeaseID) lockqueue.Result {
	c.now.Lease++
	c.now.Wall++
	res, err := lockqueue.Release(c.view, c.now, id)
	return must(res, err, lockqueue.OK)
}

// rotate turns the holder that has held for longest into the last waiter.
func (c *crowd) rotate(granted []lockqueue.Entry) {
	if len(granted) != 1 || granted[0].ID != c.waiters[c.first%len(c.waiters)] {
		panic(fmt.Sprintf("%d were granted, or the wrong one", len(granted)))
	}
	holder := &c.holders[c.first%len(c.holders)]
	waiter := &c.waiters[c.first%len(c.waiters)]
	*holder, *waiter = *waiter, *holder
	c.first++
	if res := c.acquire(c.waiters[(c.first-1)%len(c.waiters)]); res.Status != lockqueue.Queued {
		panic("it does not wait")
	}
}

func (c *crowd) holder() driver.LeaseID { return c.holders[c.first%len(c.holders)] }

// middle is the waiter in the middle of the line.
func (c *crowd) middle() driver.LeaseID {
	return c.waiters[(c.first+len(c.waiters)/2)%len(c.waiters)]
}

// loads are what is measured: steps that leave the crowd as large as it was.
var loads = []struct {
	name     string
	commands int // how many commands a step is
	step     func(*crowd)
}{
	{"release, hand over, join", 2, func(c *crowd) { c.rotate(c.release(c.holder()).Woken) }},
	{"break, hand over, join", 2, func(c *crowd) {
		res, err := lockqueue.Break(c.view, c.now, c.holder(), driver.BreakNow)
		c.rotate(must(res, err, lockqueue.OK).Woken)
	}},
	{"expire, hand over, join", 3, func(c *crowd) {
		res, err := lockqueue.Renew(c.view, c.now, c.holder(), 0, 1)
		must(res, err, lockqueue.OK)
		c.now.Lease++
		res, err = lockqueue.Settle(c.view, c.now)
		c.rotate(must(res, err, lockqueue.OK).Woken)
	}},
	{"join the tail, leave it", 2, func(c *crowd) {
		id := driver.LeaseID{0, 0, 0, 2}
		c.acquire(id)
		c.release(id)
	}},
	{"leave the middle, join", 2, func(c *crowd) {
		// The ring is not kept in order, nor need be: the next one stands in the
		// middle too, or has come to the head.
		id := c.middle()
		c.first++
		c.release(id)
		c.acquire(id)
	}},
	{"ask again from the middle", 1, func(c *crowd) { c.acquire(c.middle()) }},
	{"try", 1, func(c *crowd) {
		res, err := lockqueue.Acquire(c.view, c.now, &lockqueue.Attempt{ID: driver.LeaseID{0, 0, 0, 3}, Limit: c.limit, TTL: 1, WaiterTTL: 1, Tokens: 1, NoWait: true})
		must(res, err, lockqueue.Busy)
	}},
	{"renew", 1, func(c *crowd) {
		c.now.Lease++
		res, err := lockqueue.Renew(c.view, c.now, c.holders[(c.first+len(c.holders)/2)%len(c.holders)], 0, endless)
		must(res, err, lockqueue.OK)
	}},
	{"settle", 1, func(c *crowd) {
		res, err := lockqueue.Settle(c.view, c.now)
		must(res, err, lockqueue.OK)
	}},
}

// sizes are how many wait, in the tests and benchmarks of cost.
var sizes = []int{10, 100, 1000, 10000}

// TestCostDoesNotGrow counts what the machine asks of its view for each step.
// It is the same for 10 waiters and for 10,000, and for as many holders; the
// memory's answers take O(log n) at most.
func TestCostDoesNotGrow(t *testing.T) {
	const steps, most = 50, 9
	for _, holders := range []string{"one holder", "as many holders"} {
		for _, load := range loads {
			asked := map[int]int{}
			perCommand := func(asked int) float64 { return float64(asked) / float64(steps*load.commands) }
			for _, n := range sizes {
				view := &countingView{View: lockqueue.NewMemory()}
				c := newCrowd(view, crowdHolders(holders, n), n)
				view.asked = 0
				for range steps {
					load.step(c)
				}
				asked[n] = view.asked
				if perCommand(asked[n]) > perCommand(asked[sizes[0]]) {
					t.Errorf("%s, %s: a command asks %.1f times with %d waiters, %.1f times with %d", holders, load.name,
						perCommand(asked[n]), n, perCommand(asked[sizes[0]]), sizes[0])
				}
				if perCommand(asked[n]) > most {
					t.Errorf("%s, %s: a command asks %.1f times, more than %d", holders, load.name, perCommand(asked[n]), most)
				}
			}
			t.Logf("%s, %s: a command asks %.1f times", holders, load.name, perCommand(asked[sizes[len(sizes)-1]]))
		}
	}
}

func crowdHolders(holders string, n int) int {
	if holders == "one holder" {
		return 1
	}
	return n
}

// TestTheDeadCostLittle drops a long line of the dead in one command, and
// grants a long line of readers in another: each of them costs a fixed amount,
// once.
func TestTheDeadCostLittle(t *testing.T) {
	const n, most = 10000, 4
	for _, dead := range []bool{true, false} {
		view := &countingView{View: lockqueue.NewMemory()}
		now := lockqueue.Now{Lease: 1, Wall: 1}
		attempt := lockqueue.Attempt{Limit: 1, TTL: 100, WaiterTTL: 100, Tokens: 1}
		if dead {
			attempt.WaiterTTL = 50
		}
		for i := range n {
			attempt.ID = driver.LeaseID{byte(i), byte(i >> 8), 1}
			res, err := lockqueue.Acquire(view, now, &attempt)
			must(res, err, res.Status)
			attempt.Mode = driver.Shared
		}
		now.Lease += 60
		view.asked = 0
		res, err := lockqueue.Break(view, now, driver.LeaseID{0, 0, 1}, driver.BreakNow)
		must(res, err, lockqueue.OK)
		if granted := len(res.Woken); dead != (granted == 0) || !dead && granted != n-1 {
			t.Errorf("dead %v: %d are granted", dead, granted)
		}
		if view.asked > n*most {
			t.Errorf("dead %v: %d waiters ask %d times", dead, n, view.asked)
		}
	}
}

// BenchmarkMachine measures one step with lines of different lengths. Divide
// by the number of commands that its name lists.
func BenchmarkMachine(b *testing.B) {
	for _, holders := range []string{"one holder", "as many holders"} {
		for _, load := range loads {
			for _, n := range sizes {
				b.Run(fmt.Sprintf("%s/%s/%d", holders, load.name, n), func(b *testing.B) {
					c := newCrowd(lockqueue.NewMemory(), crowdHolders(holders, n), n)
					b.ReportAllocs()
					for b.Loop() {
						load.step(c)
					}
				})
			}
		}
	}
}
