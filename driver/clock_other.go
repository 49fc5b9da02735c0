//go:build !linux

package driver

import "time"

var processStart = time.Now()

// SystemClock is the [Clock] that is used unless a test brings another. On
// Linux it reads CLOCK_BOOTTIME, which all processes of a machine share.
// Elsewhere it is Go's monotonic clock, which stands still while the machine
// is suspended.
func SystemClock() Instant { return Instant(time.Since(processStart)) }
