package driver

import (
	"context"
	"iter"
	"time"
)

// A Driver speaks to one store. All methods may be called by many goroutines
// at once.
//
// Errors are those of this package, wrapped around the store's own. A method
// that fails because its context ended returns an error that matches the
// context's error; a call whose context has ended before changes nothing. After
// Close every method returns [ErrClosed]. What a method hands out is the
// caller's: it shares nothing with the driver.
type Driver interface {
	// Acquire asks for a hold and returns when it is granted, when it is
	// refused, or when ctx ends. A request that [Request.Check] refuses is
	// refused with that error, and a TTL beyond the store's own bounds with an
	// [ErrInvalid].
	//
	//  1. If the store knows an attempt with req.ID that is granted, it is
	//     returned again with the same token, and its TTL starts anew. If that
	//     attempt waits, the call joins it at its place in line, and all calls
	//     that wait for it return the one grant.
	//  2. If others hold or wait for the key with another limit, the error is
	//     a [*LimitError].
	//  3. If nobody waits and mode and limit leave room, the store grants.
	//  4. Otherwise, with req.NoWait, the error is a [*BusyError] and the
	//     attempt is not in line.
	//  5. Otherwise the attempt stands in line, behind all who came before it
	//     whatever their mode, until it is granted. The store is not polled
	//     for this where it can push.
	//
	// When the call returns an error, the attempt is withdrawn, or the error
	// is an [ErrAmbiguous] and the caller withdraws it with Release. An
	// attempt that nobody asks after any more is dropped by the store after a
	// bounded time. If another call withdraws the attempt with Release, the
	// error is an [ErrLost].
	Acquire(ctx context.Context, req Request) (Grant, error)

	// Renew lets the lease live for ttl from now, on the store's clock. It
	// returns [ErrLost] if the lease is not this hold's any more, and then it
	// never will be again.
	Renew(ctx context.Context, h Hold, ttl time.Duration) error

	// Release ends the lease, and grants the next in line in the same step
	// unless the minimum hold keeps the key taken. It also withdraws an
	// attempt that waits. It returns nil if the lease or the attempt was there
	// and has ended by this call, or was released before and is kept by its
	// minimum hold, and [ErrLost] if it was not there or had been broken. It
	// may be repeated: a repeated call does nothing to others.
	Release(ctx context.Context, h Hold) error

	// List yields the state of every key in use that begins with prefix, in
	// the byte order of the keys. An empty prefix lists all. It ends after the
	// first error.
	List(ctx context.Context, prefix string) iter.Seq2[State, error]

	// Break ends somebody's lease. See [BreakHow]. It returns [ErrLost] if the
	// key has no lease with that id.
	Break(ctx context.Context, key string, id LeaseID, how BreakHow) error

	// Capabilities declares what the store cannot do. It never blocks and
	// always returns the same.
	Capabilities() Capabilities

	// Close lets go of the store. Calls that wait return [ErrClosed] and their
	// attempts are withdrawn, as far as the store can be reached in bounded
	// time. Leases that are held stay in the store until they expire. Close is
	// idempotent.
	Close() error
}

// BreakHow says when the key of a broken lease passes on.
type BreakHow uint8

const (
	// BreakGently makes the lease impossible to renew. The key passes on when
	// its holder releases it, or when the lease expires; so the holder, if it
	// still runs, has stopped before anyone else is granted.
	BreakGently BreakHow = iota
	// BreakNow passes the key on in the same step, though the holder may still
	// be at work. Only its fencing token keeps it from doing harm.
	BreakNow
)

// A Nudger is a driver that hears from its store when something has happened
// to a lease: it was broken, or its record is gone. It is optional. Without
// it, a holder hears of a loss when it renews next.
type Nudger interface {
	// Nudge calls f, possibly more than once and from any goroutine, when the
	// store has news about the lease. It is a hint: package stile answers it
	// with a renewal. f does not block. After stop returns, f is not called
	// again.
	Nudge(h Hold, f func()) (stop func())
}
