// Package redistest starts real redis-server processes for tests: a standalone
// server, a primary with a replica and Sentinels, a Cluster of three primaries.
//
// Every server listens on a free port of 127.0.0.1 and on a unix socket in a
// folder of its own, which the helpers of this package use, so that a test can
// ask a server whatever happens to its TCP side. Servers that a test starts end
// with the test, and all end with the test process, even if that is killed
// (on Linux). The end of a server's log is shown when its test has failed.
//
// [Shared], [SharedSentinel] and [SharedCluster] are started once and serve all
// tests of a process, each below a key prefix of its own; [StopShared] ends
// them, after the last test.
//
// It needs the program redis-server, at least 7.0, and fails the test where
// there is none: what is not run is not tested. It promises nothing about other
// versions, and nothing about speed beyond starting a standalone server in a
// fraction of a second.
package redistest
