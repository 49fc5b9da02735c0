// Package lockqueue is what a lock means: one state machine for exclusive and
// shared holds and semaphores, first come first served, with fencing tokens.
//
// It is pure: no I/O of its own, no clock, no goroutine. A store that can run
// a transaction runs a command of this package inside it, over a [View] of one
// key, with the store's own time; the memory and SQLite drivers do. A store
// that runs scripts carries the same machine in its own language and is tested
// against this one.
//
// # Rules
//
//   - The line is strict: nobody is granted before somebody who came earlier
//     and still waits, whatever their modes. So a waiting writer holds back
//     later readers, and readers that stand together are granted together.
//   - Every command first settles the key: leases that have expired go, and
//     the line moves up as far as it can. So between two commands the first in
//     line can never be granted.
//   - A waiter has a lease too, which its driver renews while it waits. A
//     waiter whose lease has run out, or whom the view cannot reach, is passed
//     over when its turn comes.
//   - A fencing token is the greater of the key's last token + 1 and the
//     store's wall clock in microseconds. So tokens rise through the loss of
//     the key's record, as long as the wall clock does not go back.
//   - A command that is repeated with the same attempt id counts once. A
//     repeated Acquire never shortens a lease.
//   - A command is about the key as it was when the command came. A withdrawal
//     takes effect before the key is settled; a lease that the settling itself
//     grants is not the sender's to renew or to break.
//
// # What it does not do
//
// It does not call anybody: [Result] says whom to wake. It does not act by
// itself when a lease expires: somebody must run a command, at the latest at
// the time that [Result.Due] names. It does not forget keys: a store may drop
// a key's record when [Key.Forgettable] says so.
//
// It does not remember attempts that have ended. A copy of an Acquire that a
// network delivers after the attempt's Release is a new attempt with an old
// id; it ends with its waiter lease, or with its TTL and minimum hold. It gets
// a token of its own, so the lease that had ended stays lost: see [Renew].
//
// It does not check what it is given: see driver.Request.Check. TTLs and
// waiter leases must be more than 0. When a view fails, the command has been
// done in part; the store must roll it back.
package lockqueue
