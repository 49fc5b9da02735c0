package lockqueue_test

import (
	"errors"
	"testing"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A mutant is a machine, or a store below it, with one planted fault.
type mutant struct {
	name  string
	world string // where it is explored
	rule  string // what it must be convicted of
	view  func(*lockqueue.Memory) lockqueue.View
	run   machine
	early bool // the store forgets idle keys one moment too early
}

// A faultyView is the memory but for the methods that are set.
type faultyView struct {
	*lockqueue.Memory
	key       func(lockqueue.Key) lockqueue.Key
	setKey    func(lockqueue.Key) (_ lockqueue.Key, drop bool)
	entry     func(found bool) bool
	put       func(old lockqueue.Entry, found bool, e lockqueue.Entry) (_ lockqueue.Entry, drop bool)
	remove    func(lockqueue.Entry) (drop bool)
	first     func(line []lockqueue.Entry) lockqueue.Entry
	nextDue   func(lockqueue.Entry) lockqueue.Entry
	holders   func([]lockqueue.Entry)
	reachable func(bool) bool
}

func (f *faultyView) Key() (lockqueue.Key, error) {
	key, err := f.Memory.Key()
	if f.key != nil {
		key = f.key(key)
	}
	return key, err
}

func (f *faultyView) SetKey(k lockqueue.Key) error {
	if f.setKey != nil {
		mutated, drop := f.setKey(k)
		if drop {
			return nil
		}
		k = mutated
	}
	return f.Memory.SetKey(k)
}

func (f *faultyView) Entry(id driver.LeaseID) (lockqueue.Entry, bool, error) {
	e, found, err := f.Memory.Entry(id)
	if f.entry != nil {
		found = f.entry(found)
	}
	return e, found, err
}

func (f *faultyView) Put(e lockqueue.Entry) error {
	if f.put != nil {
		old, found, _ := f.Memory.Entry(e.ID)
		mutated, drop := f.put(old, found, e)
		if drop {
			return nil
		}
		e = mutated
	}
	return f.Memory.Put(e)
}

func (f *faultyView) Remove(e lockqueue.Entry) error {
	if f.remove != nil && f.remove(e) {
		return nil
	}
	return f.Memory.Remove(e)
}

func (f *faultyView) First() (lockqueue.Entry, error) {
	if f.first != nil {
		return f.first(f.Line()), nil
	}
	return f.Memory.First()
}

func (f *faultyView) NextDue() (lockqueue.Entry, error) {
	e, err := f.Memory.NextDue()
	if f.nextDue != nil {
		e = f.nextDue(e)
	}
	return e, err
}

func (f *faultyView) Holders(limit int) ([]lockqueue.Entry, error) {
	entries, err := f.Memory.Holders(limit)
	if f.holders != nil {
		f.holders(entries)
	}
	return entries, err
}

func (f *faultyView) Reachable(e lockqueue.Entry) bool {
	reachable := f.Memory.Reachable(e)
	if f.reachable != nil {
		reachable = f.reachable(reachable)
	}
	return reachable
}

// faulty makes a view with a fault.
func faulty(f faultyView) func(*lockqueue.Memory) lockqueue.View {
	return func(m *lockqueue.Memory) lockqueue.View {
		f.Memory = m
		return &f
	}
}

// TestObserverConvictsMutants shows that the observer has teeth: it must
// convict every mutant, and of the right crime.
func TestObserverConvictsMutants(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			x := &explorer{world: worldNamed(t, m.world), machine: theMachine, wrap: m.view, early: m.early}
			if m.run != nil {
				x.machine = m.run
			}
			_, err := x.explore(0)
			var v *violation
			if !errors.As(err, &v) {
				t.Fatalf("the mutant got away with it in %d states, %d moves", len(x.found), x.moves)
			}
			if v.rule != m.rule {
				t.Fatalf("convicted of breaking the rule %q, want %q: %v", v.rule, m.rule, err)
			}
			t.Logf("convicted after %d states, %d moves: %v", len(x.found), x.moves, err)
		})
	}
}

func worldNamed(t *testing.T, name string) *world {
	t.Helper()
	for i := range worlds {
		if worlds[i].name == name {
			return &worlds[i]
		}
	}
	t.Fatalf("no world %q", name)
	return nil
}
