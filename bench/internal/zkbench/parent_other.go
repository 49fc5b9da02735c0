//go:build unix && !linux

package zkbench

import (
	"syscall"
	"time"
)

// dieWithParent does what it can: elsewhere a server outlives a program that
// was killed by signal 9.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// processorTime is known on Linux only.
func processorTime(int) (time.Duration, error) { return 0, nil }

// inMemory is known on Linux only, where the folder in memory is.
func inMemory(string) (bool, error) { return false, nil }
