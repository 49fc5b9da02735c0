package guard

import (
	"errors"

	"golang.org/x/sys/unix"
)

// A change is what wait(2) tells of one child.
type change struct {
	pid    int
	status unix.WaitStatus
}

// reap collects the changes of all children, without waiting. It is false when
// there are no children any more.
func reap(each func(change)) (childrenLeft bool) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG|unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return false // ECHILD: nothing else can come of these arguments.
		case pid == 0:
			return true
		default:
			each(change{pid: pid, status: status})
		}
	}
}
