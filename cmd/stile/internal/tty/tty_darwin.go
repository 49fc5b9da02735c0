package tty

import (
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	getModes = unix.TIOCGETA
	setModes = unix.TIOCSETAW
)

// withoutTTOU calls f while SIGTTOU is ignored, which would stop a process that
// sets up its terminal from the background.
func withoutTTOU(f func() error) error {
	signal.Ignore(unix.SIGTTOU)
	defer signal.Reset(unix.SIGTTOU)
	return f()
}

// Stop stops this process. Its shell sees SIGSTOP, whatever the signal was:
// there is no way here to give a signal its default back. The rest of the
// process group gets the signal itself.
func Stop(sig syscall.Signal) error {
	if sig != unix.SIGSTOP {
		if err := unix.Kill(0, sig); err != nil {
			return err
		}
	}
	return unix.Kill(unix.Getpid(), unix.SIGSTOP)
}
