//go:build !linux

package zktest

import (
	"os"
	"syscall"
)

// dieWithParent makes a server end when the test process does, which only
// Linux can: elsewhere a test process that is killed leaves its servers.
func dieWithParent() *syscall.SysProcAttr { return nil }

// stopSignal and continueSignal freeze a process and let it run on: 17 and 19 on
// the BSDs and macOS. Windows has no ZooKeeper to start.
var stopSignal, continueSignal os.Signal = syscall.Signal(17), syscall.Signal(19)
