//go:build unix && !linux

package guard

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now reads the clock of deadlines. All processes of this machine share it. On
// macOS it runs on while the machine is suspended.
func Now() Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("guard: read clock: " + err.Error())
	}
	return Instant(time.Duration(ts.Nano()))
}
