package redisbench

import "syscall"

// dieWithParent has the kernel end the server when this program is killed. In a
// process group of its own it gets no Ctrl-C before the clients are closed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
