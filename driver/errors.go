package driver

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// The errors of a driver. Each is a promise about the store's state; callers
// match them with errors.Is. A driver wraps them around the store's own error,
// which stays reachable with errors.As.
var (
	// ErrBusy: the key is taken and the request would not wait. Nothing was
	// left in line. It comes as a [*BusyError].
	ErrBusy = errors.New("key is busy")
	// ErrWaitTimeout: the wait was over before the key was granted. The
	// attempt is no longer in line. Package stile makes it; drivers do not.
	ErrWaitTimeout = errors.New("wait is over")
	// ErrLost: the lease is not this hold's any more. It expired, was broken,
	// was released before, or its record is gone. It never comes back.
	ErrLost = errors.New("lease is lost")
	// ErrUnavailable: the store could not be reached, or it refused to serve.
	// Unless the error is ErrAmbiguous too, the command had no effect.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrAmbiguous: the command was sent and its outcome is unknown. It may be
	// repeated with the same attempt id. Every ErrAmbiguous is an
	// ErrUnavailable too.
	ErrAmbiguous error = &kindOf{"outcome is unknown", ErrUnavailable}
	// ErrLimitMismatch: the key is in use with another limit. It comes as a
	// [*LimitError].
	ErrLimitMismatch = errors.New("limit differs from the one in use")
	// ErrInvalid: an argument can never work: a key, a TTL, a store URL.
	ErrInvalid = errors.New("invalid argument")
	// ErrInvalidKey: the key is empty, too long, not UTF-8, or holds a control
	// character. Every ErrInvalidKey is an ErrInvalid too.
	ErrInvalidKey error = &kindOf{"invalid key", ErrInvalid}
	// ErrClosed: the driver, or the locker above it, was closed.
	ErrClosed = errors.New("store is closed")
)

// A kindOf is an error that is a case of a more general one, which its text
// need not repeat.
type kindOf struct {
	text    string
	general error
}

func (e *kindOf) Error() string { return e.text }
func (e *kindOf) Unwrap() error { return e.general }

// A BusyError tells who holds a key that was refused. It matches [ErrBusy].
type BusyError struct {
	// Key is the key that was refused.
	Key string
	// Limit is the key's limit; 1 unless it is a semaphore.
	Limit int
	// Holders are those who hold the key, the longest first; of a crowd only
	// the first few.
	Holders []Holder
}

// Error names the first holder and, as far as it is known, since when it holds,
// and until when unless it renews.
func (e *BusyError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "key %q is busy", e.Key)
	if len(e.Holders) == 0 {
		b.WriteString(": others wait in line before it")
		return b.String()
	}
	h := e.Holders[0]
	unless := "unless renewed"
	if h.Ended != "" {
		unless = "though " + string(h.Ended)
	}
	const form = "2006-01-02 15:04:05Z07:00" // With the zone: the reader may be in another.
	fmt.Fprintf(&b, ": held by %s", printableOwner(h.Owner))
	if !h.Since.IsZero() {
		fmt.Fprintf(&b, " since %s", h.Since.Format(form))
	}
	if !h.Expires.IsZero() {
		fmt.Fprintf(&b, ", until %s %s", h.Expires.Format(form), unless)
	}
	if !h.ID.IsZero() {
		fmt.Fprintf(&b, " (lease %s)", h.ID)
	}
	if more := len(e.Holders) - 1; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// printableOwner keeps a label, which may hold anything, from acting on a
// terminal or breaking a line of a log.
func printableOwner(owner string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, owner)
}

// Is reports whether target is [ErrBusy].
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// A LimitError tells which limit a key is in use with. It matches
// [ErrLimitMismatch].
type LimitError struct {
	// Key is the key that was refused.
	Key string
	// InUse is the limit of those who hold it or wait for it.
	InUse int
	// Asked is the limit of the request.
	Asked int
}

// Error names both limits and what to do.
func (e *LimitError) Error() string {
	return fmt.Sprintf("key %q is in use with limit %d, not %d: use the same limit everywhere, or wait until the key is free", e.Key, e.InUse, e.Asked)
}

// Is reports whether target is [ErrLimitMismatch].
func (e *LimitError) Is(target error) bool { return target == ErrLimitMismatch }
