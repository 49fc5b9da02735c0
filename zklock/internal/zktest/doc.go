// Package zktest starts real ZooKeeper servers for tests: one alone, or an
// ensemble of three.
//
// Every server listens on free ports of 127.0.0.1, keeps its data in a folder of
// its own, in memory where the system has a place for that, and ends with the
// test that started it, or with the test process, even if that is killed (on
// Linux). The end of its log is shown when its test has failed. [Shared] and
// [SharedEnsemble] are started once and serve all tests of a process, each below
// a root of its own; [StopShared] ends them, after the last test.
//
// Ticks take 100 ms, so that sessions may be as short as 200 ms. Servers are
// started as plain Java processes from the jar of Debian's package zookeeper; a
// test fails where there is none. It promises nothing about other versions.
package zktest
