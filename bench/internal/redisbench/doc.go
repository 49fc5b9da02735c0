// Package redisbench runs stile and other lock libraries on one Redis server,
// interleaved, and reports what each did and what it cost.
//
// It starts a server of its own, without persistence, on a free port of the
// loopback interface, and ends it; or it uses one that is named, which it never
// flushes. What the server did it reads from INFO commandstats, so nobody else
// may use the server meanwhile.
//
// A benchmark judges nobody's speed. But two holders at once, a waiter served
// out of order, or a key left behind are errors, whoever made them.
package redisbench
