// Package memlock is the driver for locks within one process: the lock
// semantics of driver/lockqueue under a mutex.
//
// It needs no server and no file. Use it in tests, in examples, and where one
// process is all there is. Several clients can share a store: [Driver.Share],
// or the same name in a URL (mem:NAME).
//
// # What it promises
//
// Everything that package driver promises: exclusion, first come first served,
// fencing tokens, leases that expire. Waiters are woken directly.
//
// # What it does not
//
// Other processes see nothing of it, and when the last client of a store is
// closed its leases are gone. Tokens rise all the same, as long as the wall
// clock does not go back.
package memlock
