//go:build unix && !linux

package guard

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func dieWithParent(*syscall.SysProcAttr) {}

// closeOnExec keeps from the command what the guard itself has inherited open.
func closeOnExec() {
	for _, fd := range openFiles("/dev/fd") {
		unix.CloseOnExec(fd)
	}
}
