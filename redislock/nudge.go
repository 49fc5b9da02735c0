package redislock

import (
	"slices"

	"github.com/stilelock/stile/driver"
)

// Nudge implements [driver.Nudger]. It also calls f when the subscription was
// made or was lost and is back: what happened before was not heard.
func (d *Driver) Nudge(h driver.Hold, f func()) (stop func()) {
	n := &nudge{f}
	d.ears.mu.Lock()
	d.ears.nudges[h.ID] = append(d.ears.nudges[h.ID], n)
	if !d.ears.stopped {
		d.ears.openLocked(d.ears.channel)
	}
	d.ears.mu.Unlock()
	return func() {
		d.ears.mu.Lock()
		defer d.ears.mu.Unlock()
		rest := slices.DeleteFunc(d.ears.nudges[h.ID], func(other *nudge) bool { return other == n })
		if len(rest) == 0 {
			delete(d.ears.nudges, h.ID)
		} else {
			d.ears.nudges[h.ID] = rest
		}
	}
}
