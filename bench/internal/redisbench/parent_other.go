//go:build unix && !linux

package redisbench

import "syscall"

// dieWithParent does what it can: elsewhere a server outlives a program that
// was killed by signal 9.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
