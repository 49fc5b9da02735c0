package zktest

import (
	"os"
	"syscall"
)

// dieWithParent makes a server end when the test process does, however that
// ends.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// stopSignal and continueSignal freeze a process and let it run on.
var stopSignal, continueSignal os.Signal = syscall.SIGSTOP, syscall.SIGCONT
