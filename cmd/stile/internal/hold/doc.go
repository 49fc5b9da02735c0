// Package hold is one lease of one store, as package guard wants it: renewed in
// the background, to be released or handed from one process to the other.
//
// It promises that Release passes the key on and that Abandon does not, that
// both let go of the store, and that the deadline is never later than the
// library's own.
//
// It does not say what happens to the work under the lease: that is package
// guard's.
package hold
