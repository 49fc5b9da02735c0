// Package locktest is the conformance suite for drivers: what package driver
// promises, as about a hundred cases that run against a real store.
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
// be done sooner, for most of the time is spent waiting for short TTLs.
//
// # What it promises
//
// A case that a capability of driver.Capabilities.Lacks makes impossible is
// skipped with the declared reason. A case that needs a [Hook] which the
// harness does not have is skipped with the harness's reason. The last line of
// the log counts both. For each capability a case of the group "declares" tries
// the thing: an inability that is declared and in fact works is a failure, as
// is one that is not declared. So is a hook that is missing without a reason.
//
// The suite calls a driver as package stile does: with contexts that end, and
// with a Release in a bounded context of its own when an Acquire comes back
// with driver.ErrAmbiguous.
//
// # What it does not
//
// It shows faults; it does not prove that there are none. It uses real time
// and bounds every wait; it asserts no span of time more exactly than the
// drift margin of package stile (1 % of the TTL and 2 ms) to the early side and
// Harness.Slack to the late side. It does not measure speed, and it
// does not make a store lose data or its clock jump.
package locktest
