// Package stile is distributed locks for people who have to trust them.
//
// A lock is a key. Whoever acquires it gets a [Lease], and everybody else
// waits in line, first come first served, until the lease is released or
// expires:
//
//	locks, err := stile.Open(ctx, "sqlite:/var/lib/app/locks.db")
//	…
//	err = locks.Do(ctx, "orders/42", nil, func(ctx context.Context, lease *stile.Lease) error {
//		return ship(ctx, 42, lease.Token()) // ctx ends if the lease is lost
//	})
//
// [Options] make a hold shared (readers), or the key a semaphore ([Options.Limit]).
// [Locker.TryAcquire] does not wait, and says who holds.
//
// The store behind it is a matter of the URL, or of the driver that is given
// to [New]. Each driver is a package of its own; import it to register its URL
// schemes. Package memlock, for one process, is part of this module.
//
// # What is promised
//
//   - Exclusion, for as long as the store keeps its word. Each driver's page
//     says when that is.
//   - A fencing token with every grant ([Lease.Token]), greater than all before
//     it for the key, through release, expiry, break and restart.
//   - You are told that you lost the lease, in time, with the network gone: the
//     context of the lease ends at a deadline that is counted on the local
//     monotonic clock, from before the last successful renewal was sent, and
//     lies before the moment at which the store may grant the next.
//   - First come, first served; waiters are woken, not polled, where the store
//     can push.
//   - Nothing is left behind: an acquire that is cancelled or times out is out
//     of line when it returns, or is withdrawn in the background; a retry finds
//     its own grant.
//
// # What is not
//
// No lock service can stop a process that was frozen (a suspended machine, a
// long pause) from acting on a lease that it lost meanwhile: it learns of the
// loss when it runs again, and may have a write under way. That is what the
// fencing token is for: open the resource with the token, and let the resource
// refuse any token lower than the highest it has seen. [Lease.Err] is no
// substitute; between the check and the write there is always a moment.
//
// Leases are not re-entrant and belong to no goroutine.
//
// # Time
//
// A lease lives [Options.TTL] without renewal and is renewed at a third of it.
// The store counts on its own clock, the holder on CLOCK_BOOTTIME where there
// is one (Linux). The wall clock of a client decides nothing. A renewal that
// fails is repeated until the deadline, which is the time before the last
// successful one was sent + TTL − 1 % − 2 ms.
package stile
