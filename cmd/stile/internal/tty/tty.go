package tty

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A Terminal is the controlling terminal of this process. A nil Terminal is
// none; its methods may be called.
type Terminal struct {
	fd    int
	modes *unix.Termios
}

// Open returns the controlling terminal, or nil if there is none.
func Open() *Terminal {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return &Terminal{fd: fd}
}

// Close lets go of it.
func (t *Terminal) Close() {
	if t != nil {
		_ = unix.Close(t.fd)
	}
}

// IsControlling reports whether a file is the controlling terminal of this
// process.
func IsControlling(fd int) bool {
	_, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil
}

// IsTerminal reports whether a file is a terminal.
func IsTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, getModes)
	return err == nil
}

// Width is the number of columns of a terminal, or 80 if that is not known.
func Width(fd int) int {
	size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return 80
	}
	return int(size.Col)
}

// Foreground is the process group that has the terminal; 0 if none has.
func (t *Terminal) Foreground() int {
	if t == nil {
		return 0
	}
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil {
		return 0
	}
	return group
}

// IsMine reports whether the terminal is this process's group's.
func (t *Terminal) IsMine() bool { return t != nil && t.Foreground() == unix.Getpgrp() }

// Give makes a process group of this session the terminal's foreground group,
// also if this process is in the background.
func (t *Terminal) Give(group int) error {
	if t == nil {
		return nil
	}
	err := withoutTTOU(func() error { return unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, group) })
	if err != nil {
		return fmt.Errorf("give terminal to process group %d: %w", group, err)
	}
	return nil
}

// Take makes this process's group the foreground group.
func (t *Terminal) Take() error { return t.Give(unix.Getpgrp()) }

// Save remembers the terminal's modes.
func (t *Terminal) Save() {
	if t == nil {
		return
	}
	if modes, err := unix.IoctlGetTermios(t.fd, getModes); err == nil {
		t.modes = modes
	}
}

// Restore sets the modes that were saved, for a program that was ended before
// it could.
func (t *Terminal) Restore() {
	if t != nil && t.modes != nil {
		_ = withoutTTOU(func() error { return unix.IoctlSetTermios(t.fd, setModes, t.modes) }) // The terminal may be gone.
	}
}
