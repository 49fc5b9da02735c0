// Package zookeeper has two programs that lock a key in ZooKeeper, and the test
// that runs them against a real server.
//
//   - classic is the program that most people write first: acquire with an
//     expiry, leave at once if the key is taken, do something, release only if
//     still the owner.
//   - do is the same in three lines.
//
// They show how the API is used, and promise nothing: the package is not
// released.
package zookeeper
