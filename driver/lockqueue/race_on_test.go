//go:build race

package lockqueue_test

// raceDetector reports whether the race detector runs. It slows an exploration
// fourfold and has nothing to find in one.
const raceDetector = true
