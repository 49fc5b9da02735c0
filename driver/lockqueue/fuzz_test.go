package lockqueue_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// longest is how much of the data is played. What a longer run would find, a
// shorter one finds sooner.
const longest = 1 + 3*1000

// fuzzAttempts is how many attempts a fuzzed key has. Two more have another
// limit.
const fuzzAttempts = 14

// A reader turns fuzzed bytes into a run: the first byte is the key's limit,
// then three bytes are one move.
type reader struct {
	data  []byte
	limit int
}

// next returns the next move. At the end of the data ok is false.
func (r *reader) next(n *node) (m move, ok bool) {
	if len(r.data) < 3 {
		return m, false
	}
	a, b, c := r.data[0], r.data[1], r.data[2]
	r.data = r.data[3:]
	id := attemptID(int(b) % (fuzzAttempts + 2))
	m.order = order{attempt: r.attempt(id, c)}
	switch what := a % 16; {
	case what < byte(verbs):
		m.order.verb = verb(what)
		m.order.ttl = 1 + lockqueue.Micros(c)*7
		if h := n.books.hold(id); h != nil && c%8 != 0 {
			m.order.token = h.token - uint64(c%8/7) // Now and then that of an older lease.
		}
	case what < 12:
		m.order.verb = acquire
	case what < 14:
		m.what = elapse
		m.dt = 1 + lockqueue.Micros(b)*lockqueue.Micros(c)/1024
		m.wall = []lockqueue.Micros{m.dt, 0, -m.dt / 2, m.dt * 100}[a/16%4]
	case what == 14:
		m.what = cut
	default:
		m.what = heal
	}
	return m, true
}

// attempt says what an attempt asks for: always the same, but for its times.
func (r *reader) attempt(id driver.LeaseID, c byte) lockqueue.Attempt {
	n := number(id)
	a := lockqueue.Attempt{
		ID: id, Limit: r.limit, Tokens: 1 + n%3*n, TTL: 20 + lockqueue.Micros(c),
		WaiterTTL: 20 + lockqueue.Micros(c), MinHold: lockqueue.Micros(n % 4 * 40),
	}
	if n >= fuzzAttempts {
		a.Limit++
	}
	if a.Limit == 1 && n%2 == 1 {
		a.Mode = driver.Shared
	}
	return a
}

// answered is which answers a run has seen.
type answered map[string]int

// run plays the data and has the observer judge every order.
func run(data []byte, seen answered) error {
	if len(data) == 0 {
		return nil
	}
	r := &reader{data: data[1:min(len(data), longest)], limit: 1 + int(data[0])%10}
	x := &explorer{machine: theMachine}
	memory := lockqueue.NewMemory()
	n := node{now: lockqueue.Now{Lease: 1, Wall: 1 << 20}}
	for i := 0; ; i++ {
		m, ok := r.next(&n)
		if !ok {
			return nil
		}
		if m.what != send {
			n, _ = x.walk(&n, &m) // It sends nothing, so there is nothing to judge.
			continue
		}
		res, err := x.send(memory, &n, &m.order)
		if err != nil {
			return fmt.Errorf("move %d, %v: %w", i, &m, err)
		}
		if seen != nil {
			seen[fmt.Sprint(m.order.verb, " ", res.Status)]++
			seen["woken"] += len(res.Woken)
			seen["full refusal"] += len(res.Holders) / 8
		}
	}
}

func seeds() (all [][]byte) {
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // The seeds are to be the same each time.
	for range 20 {
		data := make([]byte, 1+3*rnd.IntN(700))
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		all = append(all, data)
	}
	return all
}

// FuzzMachine lets the observer judge any run of moves.
func FuzzMachine(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := run(data, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFuzzSeedsReachEveryAnswer keeps the fuzz target from judging nothing:
// its seeds alone get every answer that the machine has.
func TestFuzzSeedsReachEveryAnswer(t *testing.T) {
	seen := answered{}
	for _, seed := range seeds() {
		if err := run(seed, seen); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []struct {
		verb   verb
		status []lockqueue.Status
	}{
		{acquire, []lockqueue.Status{lockqueue.Granted, lockqueue.Queued, lockqueue.LimitDiffers, lockqueue.Lost}},
		{tryAcquire, []lockqueue.Status{lockqueue.Granted, lockqueue.Busy, lockqueue.LimitDiffers, lockqueue.Lost}},
		{renew, []lockqueue.Status{lockqueue.OK, lockqueue.Lost}},
		{release, []lockqueue.Status{lockqueue.OK, lockqueue.Lost}},
		{breakGently, []lockqueue.Status{lockqueue.OK, lockqueue.Lost}},
		{breakNow, []lockqueue.Status{lockqueue.OK, lockqueue.Lost}},
		{settle, []lockqueue.Status{lockqueue.OK}},
	} {
		for _, status := range want.status {
			if seen[fmt.Sprint(want.verb, " ", status)] == 0 {
				t.Errorf("no seed gets status %d for %v", status, want.verb)
			}
		}
	}
	if seen["woken"] < 100 || seen["full refusal"] == 0 {
		t.Errorf("the seeds grant only %d waiters and name many holders %d times", seen["woken"], seen["full refusal"])
	}
	t.Log(seen)
}
