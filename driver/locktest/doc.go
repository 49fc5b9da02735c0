// Package locktest is the conformance suite for drivers: what package driver
// promises, as about 150 cases that run against a real store.
//
// # Use
//
// A driver's own test calls [Run] with a [Harness], and [Child] from TestMain,
// because some cases need other processes, which are the test binary itself:
//
//	func TestMain(m *testing.M) {
//		locktest.Child(nil) // In a child process this serves the suite and never returns.
//		os.Exit(m.Run())
//	}
//
//	func TestConformance(t *testing.T) {
//		locktest.Run(t, locktest.Harness{
//			New: func(t testing.TB, _ []locktest.Hook) locktest.Store {
//				url := "sqlite:" + filepath.Join(t.TempDir(), "locks.db")
//				return locktest.Store{
//					URL:  url,
//					Open: func(ctx context.Context) (driver.Driver, error) { return driver.Open(ctx, url) },
//				}
//			},
//			Without: map[locktest.Hook]string{
//				locktest.HookNetwork: "a file has no network",
//				locktest.HookSession: "a lease depends on no connection",
//				locktest.HookRestart: "a file has no server",
//				locktest.HookForget:  "the record of a key is never dropped",
//			},
//		})
//	}
//
// Cases run in parallel, each on a store of its own; raise -test.parallel to
// be done sooner, for most of the time is spent waiting for short TTLs. For a
// store that is reached by TCP, [Proxy] breaks the network. [CheckLeaks] is for a
// driver's other tests too.
//
// # What it promises
//
// A case that needs a capability which the driver declares to lack is skipped
// with the declared reason, and a case that needs a [Hook] which the harness
// does not have with the harness's reason; the last line of the log counts
// both. For each capability a case of the group "declares" tries the thing: an
// inability that is declared and in fact works is a failure, and so is one that
// is not declared. A hook that is missing without a reason is a failure too.
//
// The suite calls a driver as package stile does: with contexts that end, and
// with a Release in a bounded context of its own when an Acquire comes back
// with driver.ErrAmbiguous.
//
// # What it does not
//
// It shows faults; it does not prove that there are none. It uses real time and
// bounds every wait. It allows a store to be early by the drift margin of
// package stile (1 % of the TTL and 2 ms), and late by Harness.Slack. It does
// not measure speed, make a store lose data, or set its clock.
package locktest
