// Package model is what a lock means, as plainly as it can be written down: a
// slice of leases, a slice of waiters, and a loop over them for every question.
//
// It is written from the rules in the documentation of driver and
// driver/lockqueue, and shares no code with either's machine, so that an error
// must be made twice to go unseen. Package differ compares machines with it.
//
// It promises the right answer to every command. It does not promise to be
// fast: each command takes time in proportion to the holders and waiters. It
// is not safe for concurrent use.
package model
