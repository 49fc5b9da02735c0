package driver

import (
	"syscall"
	"time"
	"unsafe"
)

// clockBoottime is CLOCK_BOOTTIME of clock_gettime(2): monotonic, and counting
// on through a suspend.
const clockBoottime = 7

// SystemClock is the [Clock] that is used unless a test brings another. On
// Linux it reads CLOCK_BOOTTIME, which all processes of a machine share.
// Elsewhere it is Go's monotonic clock, which stands still while the machine
// is suspended.
func SystemClock() Instant {
	var ts syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&ts)), 0) //nolint:gosec // The system call takes the address of its result.
	if errno != 0 {
		// Kernels without this clock (before 2.6.39) are older than any that Go runs on.
		panic("driver: read CLOCK_BOOTTIME: " + errno.Error())
	}
	return Instant(time.Duration(ts.Nano()))
}
