package guard

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now reads the clock of deadlines. All processes of this machine share it,
// and it runs on while the machine is suspended.
func Now() Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// Kernels without this clock are older than any that Go runs on.
		panic("guard: read clock: " + err.Error())
	}
	return Instant(time.Duration(ts.Nano()))
}
