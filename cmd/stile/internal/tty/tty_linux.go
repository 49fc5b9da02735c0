package tty

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	getModes = unix.TCGETS
	setModes = unix.TCSETSW
)

// withoutTTOU calls f on a thread that blocks SIGTTOU, which would stop a
// process that sets up its terminal from the background.
func withoutTTOU(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var set, old unix.Sigset_t
	set.Val[0] = 1 << (unix.SIGTTOU - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old); err != nil {
		return fmt.Errorf("block SIGTTOU: %w", err)
	}
	err := f()
	if restored := unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil); err == nil && restored != nil {
		return fmt.Errorf("unblock SIGTTOU: %w", restored)
	}
	return err
}

// Stop stops this process as the signal does by default, and with it the whole
// process group, unless the signal is SIGSTOP, which means one process. It
// returns when it was continued, or at once where nobody could continue it: the
// kernel does not stop an orphaned group.
//
// Package os/signal cannot give a signal its default back that once was asked
// for, so the system calls are made here. The group gets the signal while this
// process ignores it; then this thread gets it alone, so that it acts before
// the call returns, and not on another thread after the action is restored.
func Stop(sig syscall.Signal) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ignore, fallback, caught action
	ignore[0] = 1 // SIG_IGN
	if sig == unix.SIGSTOP || setAction(sig, &ignore, &caught) != nil {
		return unix.Kill(unix.Getpid(), unix.SIGSTOP) //nolint:wrapcheck // It cannot fail.
	}
	_ = unix.Kill(0, sig) // The others of the group; there may be none.
	err := setAction(sig, &fallback, nil)
	if err == nil {
		err = unix.Tgkill(unix.Getpid(), unix.Gettid(), sig)
	}
	if restored := setAction(sig, &caught, nil); restored != nil {
		return restored
	}
	return err
}

// An action is larger than any kernel's struct sigaction, whose first word is
// the handler; all zero is the default.
type action [32]uintptr

func setAction(sig syscall.Signal, to, old *action) error {
	const sizeOfSet = 8
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(old)), sizeOfSet, 0, 0) //nolint:gosec // The system call takes addresses.
	if errno != 0 {
		return fmt.Errorf("set action of %v: %w", sig, errno)
	}
	return nil
}
