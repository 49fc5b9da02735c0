package redislock

import "github.com/stilelock/stile/driver"

// Nudge implements [driver.Nudger]. It also calls f when the subscription was
// made or was lost and is back: what happened before was not heard.
func (d *Driver) Nudge(h driver.Hold, f func()) (stop func()) { return d.ears.nudge(h.ID, f) }
