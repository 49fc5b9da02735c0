// Command testsum runs the tests of every module and says in plain words what happened.
//
// It reads the list of modules, runs `go test -json` in each in turn, prints one line for each package as
// it ends and the output of failing tests in full, and closes with a summary: what ran, what failed, what
// was skipped and why. The last line is always `N passed, N failed, N skipped`, where each test, subtest,
// example and fuzz seed counts once.
//
// It promises to lose no failure. These count as failed, each by name:
//
//   - a test that failed, and a test that began and never ended (a panic, a time limit, an exit in between);
//   - a package that failed without a failing test (it does not build, its TestMain failed), or that never ended;
//   - a module whose go test exited with another status than 0, whatever its output said;
//   - a module in which no test ran, unless a -run filter was given;
//   - in CI, a skip that the list of allowed skips does not name.
//
// It exits 1 when anything failed or no test ran at all. It never runs a test twice: results are not
// cached (-count=1), and a failing test is not tried again.
//
// It does not tell why a test is slow, and it cannot see what a test does not report: a test without an
// assertion passes here too.
package main
