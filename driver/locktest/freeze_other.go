//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package locktest

// freezeCases are about processes that stand still and go on later. This
// system cannot freeze a process.
func freezeCases() []testCase { return nil }
