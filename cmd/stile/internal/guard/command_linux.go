package guard

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// closeOnExec keeps from the command what the guard itself has inherited open.
func closeOnExec() {
	if unix.CloseRange(3, 1<<32-1, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	// Kernels before 5.11 cannot do it in one call.
	for _, fd := range openFiles("/proc/self/fd") {
		unix.CloseOnExec(fd)
	}
}
