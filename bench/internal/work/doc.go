// Package work is what the benchmarks have a lock library do, the same for
// every library and every store: take and give back free keys, fight for one
// key, hand one key from client to client, and wait in idleness.
//
// It counts what was granted, how long each had to wait, and every moment in
// which two held the same key. It knows no store; what the store did meanwhile
// is for the caller to read, who is told when the measured time begins and
// when it ends.
package work
