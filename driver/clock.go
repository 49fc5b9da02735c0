package driver

import "time"

// An Instant is a reading of a [Clock]: the time since a start that is fixed
// for the process and otherwise arbitrary. Only the difference of two readings
// of one clock means anything.
type Instant time.Duration

// Sub returns the time from j to i.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// Add returns the instant d after i.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// A Clock reads the time that leases are counted in. It never goes back, and
// it runs on while the machine is suspended, which time.Now's monotonic
// reading does not. A Clock is safe for concurrent use.
type Clock func() Instant
