package zklock

import (
	"slices"

	"github.com/stilelock/stile/driver"
)

type nudge struct{ f func() }

// Nudge implements [driver.Nudger].
func (d *Driver) Nudge(h driver.Hold, f func()) (stop func()) {
	n := &nudge{f}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nudges[h.ID] = append(d.nudges[h.ID], n)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		rest := slices.DeleteFunc(d.nudges[h.ID], func(other *nudge) bool { return other == n })
		if len(rest) == 0 {
			delete(d.nudges, h.ID)
		} else {
			d.nudges[h.ID] = rest
		}
	}
}

// nudge tells that the store has news of a lease.
func (d *Driver) nudge(id driver.LeaseID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.nudges[id] {
		n.f()
	}
}
