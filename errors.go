package stile

import (
	"errors"

	"github.com/stilelock/stile/driver"
)

// The errors of this package. Match them with errors.Is. All but ErrReleased
// are the driver contract's own, so that they mean the same everywhere.
var (
	// ErrBusy: the key is taken and the call would not wait. It comes as a
	// [*BusyError], which says who holds it.
	ErrBusy = driver.ErrBusy
	// ErrWaitTimeout: Options.Wait was over before the key was granted. The
	// attempt is no longer in line, unless the error is an ErrAmbiguous too.
	ErrWaitTimeout = driver.ErrWaitTimeout
	// ErrLost: the lease is over without having been released: it could not be
	// renewed in time, an operator broke it, its maximum hold was reached, or
	// its record is gone. A lost lease never becomes held again.
	ErrLost = driver.ErrLost
	// ErrUnavailable: the store could not be reached or refused to serve.
	ErrUnavailable = driver.ErrUnavailable
	// ErrAmbiguous: the outcome could not be learned in time. What may be left
	// behind is being withdrawn, and expires by itself at the latest.
	ErrAmbiguous = driver.ErrAmbiguous
	// ErrLimitMismatch: the key is in use with another limit. It comes as a
	// [*LimitError].
	ErrLimitMismatch = driver.ErrLimitMismatch
	// ErrInvalid: an argument can never work: a key, an option, a store URL.
	ErrInvalid = driver.ErrInvalid
	// ErrInvalidKey: the key is empty, too long, not UTF-8, or holds a control
	// character. Every ErrInvalidKey is an ErrInvalid too.
	ErrInvalidKey = driver.ErrInvalidKey
	// ErrClosed: the locker was closed.
	ErrClosed = driver.ErrClosed
	// ErrReleased: the lease was released.
	ErrReleased = errors.New("lease is released")
)

// The types that this package shares with the driver contract.
type (
	// A BusyError tells who holds a key that was refused.
	BusyError = driver.BusyError
	// A LimitError tells which limit a key is in use with.
	LimitError = driver.LimitError
	// A LeaseID names a lease; as attempt id it names the attempt before.
	LeaseID = driver.LeaseID
	// A Mode says what a hold leaves to others.
	Mode = driver.Mode
	// A State is what a store knows of one key.
	State = driver.State
	// A Holder is one lease of a key.
	Holder = driver.Holder
	// A Waiter is one attempt that stands in line.
	Waiter = driver.Waiter
	// BreakHow says when the key of a broken lease passes on.
	BreakHow = driver.BreakHow
)

// The values of [Mode] and [BreakHow].
const (
	// Exclusive takes one of the key's permits.
	Exclusive = driver.Exclusive
	// Shared leaves room for other shared holds.
	Shared = driver.Shared
	// BreakGently passes the key on when its holder has stopped, at the latest
	// when the lease expires.
	BreakGently = driver.BreakGently
	// BreakNow passes the key on at once, though its holder may be at work.
	BreakNow = driver.BreakNow
)
