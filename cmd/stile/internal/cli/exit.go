package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/stilelock/stile"
)

// Exit statuses, after sysexits.h where it has a word for it.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 64  // a flag, key, TTL or store URL that can never work; another limit than the key's
	exitUnavailable = 69  // the store is unavailable or unreadable
	exitLost        = 71  // the lease was lost
	exitBusy        = 75  // the key is busy, or the wait is over
	exitSignal      = 128 // + the number of the signal that ended it
)

// An exitError is an error with the exit status that it stands for. A nil err
// means that there is nothing to say.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usagef makes the error of a wrong command line.
func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// statusOf returns the exit status for an error of a command.
func statusOf(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.status
	case errors.Is(err, stile.ErrBusy), errors.Is(err, stile.ErrWaitTimeout):
		return exitBusy
	case errors.Is(err, stile.ErrLost):
		return exitLost
	case errors.Is(err, stile.ErrInvalid), errors.Is(err, stile.ErrLimitMismatch), errors.Is(err, errors.ErrUnsupported):
		return exitUsage
	case errors.Is(err, stile.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return exitUnavailable
	default:
		return exitFailure
	}
}
