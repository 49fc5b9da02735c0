package lockqueue_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A list is the plainest thing that a Memory could be.
type list []lockqueue.Entry

func (l list) waiters() list {
	l = slices.DeleteFunc(slices.Clone(l), func(e lockqueue.Entry) bool { return e.Phase != lockqueue.Waiting })
	slices.SortFunc(l, func(a, b lockqueue.Entry) int { return int(a.Seq) - int(b.Seq) })
	return l
}

func (l list) holders() list {
	l = slices.DeleteFunc(slices.Clone(l), func(e lockqueue.Entry) bool { return e.Phase == lockqueue.Waiting })
	slices.SortFunc(l, func(a, b lockqueue.Entry) int { return int(a.Token) - int(b.Token) })
	return l
}

// TestMemoryKeepsWhatItIsTold compares a Memory with a list, for random
// entries that come, change, are granted and go.
func TestMemoryKeepsWhatItIsTold(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // The run is to be the same each time.
	memory, all := lockqueue.NewMemory(), list{}
	for i := range 20000 {
		id := attemptID(rnd.IntN(60))
		at := slices.IndexFunc(all, func(e lockqueue.Entry) bool { return e.ID == id })
		e := lockqueue.Entry{ID: id, Seq: uint64(i), Expires: lockqueue.Micros(rnd.IntN(1000))}
		switch {
		case at < 0 && rnd.IntN(2) == 0:
			e.Phase, e.Token = lockqueue.Held, uint64(i)
			all = append(all, e)
		case at < 0:
			all = append(all, e)
		case rnd.IntN(3) == 0:
			if err := memory.Remove(all[at]); err != nil {
				t.Fatal(err)
			}
			all = slices.Delete(all, at, at+1)
			check(t, memory, all, id)
			continue
		default: // A waiter is granted or asks again, a lease is renewed or ends.
			e.Seq, e.Phase, e.Token = all[at].Seq, all[at].Phase, all[at].Token
			if e.Phase == lockqueue.Waiting && rnd.IntN(2) == 0 {
				e.Phase, e.Token = lockqueue.Held, uint64(i)
			} else if e.Phase == lockqueue.Held && rnd.IntN(2) == 0 {
				e.Phase, e.MinHold = lockqueue.Broken, 5
			}
			all[at] = e
		}
		if err := memory.Put(e); err != nil {
			t.Fatal(err)
		}
		check(t, memory, all, id)
	}
}

func check(t *testing.T, memory *lockqueue.Memory, all list, id driver.LeaseID) {
	t.Helper()
	same := func(what string, got, want []lockqueue.Entry) {
		t.Helper()
		if !slices.EqualFunc(got, want, func(a, b lockqueue.Entry) bool {
			return a.ID == b.ID && a.Phase == b.Phase && a.Expires == b.Expires && a.Token == b.Token
		}) {
			t.Fatalf("%s: got %v, want %v", what, got, want)
		}
	}
	holders, waiters := all.holders(), all.waiters()
	same("line", memory.Line(), waiters)
	got, _ := memory.Holders(1000)
	same("holders", got, holders)
	got, _ = memory.Holders(3)
	same("first holders", got, holders[:min(3, len(holders))])
	e, found, _ := memory.Entry(id)
	if want := slices.ContainsFunc(all, func(e lockqueue.Entry) bool { return e.ID == id }); found != want || found && e.ID != id {
		t.Fatalf("entry: found %v, want %v", found, want)
	}
	if len(waiters) > 0 {
		first, _ := memory.First()
		same("first", list{first}, waiters[:1])
	}
	if len(holders) > 0 {
		due := slices.MinFunc(holders, func(a, b lockqueue.Entry) int { return int(a.Until() - b.Until()) })
		if next, _ := memory.NextDue(); next.Until() != due.Until() {
			t.Fatalf("next due is %d, want %d", next.Until(), due.Until())
		}
	}
}

func TestMemoryRemovesWhatIsNotThere(t *testing.T) {
	memory := lockqueue.NewMemory()
	if err := memory.Remove(lockqueue.Entry{ID: attemptID(1)}); err != nil {
		t.Fatal(err)
	}
	if !memory.Reachable(lockqueue.Entry{}) {
		t.Error("a waiter cannot be reached though nobody said so")
	}
}
