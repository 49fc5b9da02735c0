// Package tests holds the named faults of zklock: what may happen between a
// client and its ZooKeeper servers, each on real servers, and a known hole of
// another client's lock beside ours. What it needs for that, users of zklock need
// not download.
//
// It promises nothing to anybody: it is not released.
package tests
