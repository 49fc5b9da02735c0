package lockqueue_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

var errStore = errors.New("the disk is full")

// A failingView fails when it is asked for the nth time.
type failingView struct {
	lockqueue.View
	left int
}

func (v *failingView) fails() bool {
	v.left--
	return v.left == 0
}

func (v *failingView) Key() (lockqueue.Key, error) {
	if v.fails() {
		return lockqueue.Key{}, errStore
	}
	return v.View.Key()
}

func (v *failingView) SetKey(k lockqueue.Key) error {
	if v.fails() {
		return errStore
	}
	return v.View.SetKey(k)
}

func (v *failingView) Entry(id driver.LeaseID) (lockqueue.Entry, bool, error) {
	if v.fails() {
		return lockqueue.Entry{}, false, errStore
	}
	return v.View.Entry(id)
}

func (v *failingView) Put(e lockqueue.Entry) error {
	if v.fails() {
		return errStore
	}
	return v.View.Put(e)
}

func (v *failingView) Remove(e lockqueue.Entry) error {
	if v.fails() {
		return errStore
	}
	return v.View.Remove(e)
}

func (v *failingView) First() (lockqueue.Entry, error) {
	if v.fails() {
		return lockqueue.Entry{}, errStore
	}
	return v.View.First()
}

func (v *failingView) NextDue() (lockqueue.Entry, error) {
	if v.fails() {
		return lockqueue.Entry{}, errStore
	}
	return v.View.NextDue()
}

func (v *failingView) Holders(limit int) ([]lockqueue.Entry, error) {
	if v.fails() {
		return nil, errStore
	}
	return v.View.Holders(limit)
}

// TestErrorsOfTheStoreComeBack fails every question of every command in a few
// busy states, one after the other.
func TestErrorsOfTheStoreComeBack(t *testing.T) {
	scenes := [][]string{
		{"acquire A"},
		{"acquire A", "acquire B waits=50", "acquire C waits=50"},
		{"acquire A", "acquire B waits=5", "acquire C waits=50", "at 7"},
		{"acquire A", "acquire B waits=50", "acquire C waits=50", "at 10"},
		{"share A minhold=30", "acquire B waits=50", "share C waits=50"},
	}
	orders := []string{"acquire A", "acquire B", "acquire D", "try D", "try B", "renew A 5", "release A", "release B", "break A gently", "break A now", "settle"}
	failed := 0
	for _, scene := range scenes {
		for _, do := range orders {
			for nth := 1; ; nth++ {
				s := &stage{memory: lockqueue.NewMemory(), ahead: 1000, cuts: map[string]bool{}}
				for _, line := range scene {
					s.play(t, strings.Fields(line))
				}
				view := &failingView{View: s.memory, left: nth}
				res, err := theMachine(view, s.now, parse(t, strings.Fields(do)))
				if view.left > 0 { // It asked less often.
					if err != nil {
						t.Fatalf("%v, %s: %v", scene, do, err)
					}
					break
				}
				failed++
				if !errors.Is(err, errStore) {
					t.Fatalf("%v, %s, question %d: the error is lost: %v, %+v", scene, do, nth, err, res)
				}
				if len(res.Woken) > 0 || res.Status != lockqueue.OK || res.HasDue {
					t.Fatalf("%v, %s, question %d: a result comes with the error: %+v", scene, do, nth, res)
				}
				if strings.HasPrefix(err.Error(), errStore.Error()) {
					t.Fatalf("%v, %s, question %d: the error does not say what failed: %v", scene, do, nth, err)
				}
			}
		}
	}
	if failed < 200 {
		t.Errorf("only %d questions failed", failed)
	}
}
