//go:build unix

package cpu

import (
	"syscall"
	"time"
)

// Time is processor time, of the program and of the kernel on its behalf.
type Time = time.Duration

// Used returns the processor time used since the program started, 0 if the
// system does not tell.
func Used() Time {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return Time(u.Utime.Nano() + u.Stime.Nano())
}
