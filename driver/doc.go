// Package driver is the contract between package stile and a kind of store.
//
// Applications use package stile. Read this package to write a driver, and run
// package driver/locktest to prove that it keeps the contract.
//
// A driver knows its store and nothing else. It never renews a lease by
// itself, never starts a timer that ends one, never logs, and never decides
// what a key, a mode or a limit means: those live in package stile and in
// driver/lockqueue. It does move requests to its store, wake those who wait,
// and say exactly what happened, with the errors of this package.
//
// # What a driver promises
//
//   - No two holds of a key overlap beyond its mode and limit, on the store's
//     own clock and for as long as the store keeps its data.
//   - Waiters are granted first come, first served; a waiter that is gone is
//     passed over.
//   - Every grant carries a fencing token that is greater than every token
//     granted before it for that key.
//   - A request that is sent twice with the same attempt id counts once.
//
// What a store cannot promise its driver declares in [Capabilities], with the
// reason. The conformance suite checks each declaration both ways.
package driver
