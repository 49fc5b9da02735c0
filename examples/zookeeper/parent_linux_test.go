package zookeeper

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes a process end when the thread that starts it does,
// however that ends.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
