// Package zkbench runs stile and other lock libraries on one ZooKeeper server,
// interleaved, and reports what each did and what it cost.
//
// It starts a server of its own from Debian's jars, standalone, on a free port
// of the loopback interface, with its data in memory or on disk, and ends it.
// Apache Curator runs in a Java program beside it, which is told over its
// standard input what to do, and does the same as the others. What the server
// did is read from its own counters, or where those do not tell, from a relay
// between clients and server that counts frames and changes nothing.
//
// A benchmark judges nobody's speed. But two holders at once, or a waiter of
// stile served out of order, are errors.
package zkbench
