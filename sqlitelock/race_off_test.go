//go:build !race

package sqlitelock

// raceFactor is how much more a test may use under the race detector.
const raceFactor = 1
