//go:build !linux

package zookeeper

import "os/exec"

// dieWithParent does nothing where the system cannot do it: the test's own
// cleanup ends the process.
func dieWithParent(*exec.Cmd) {}
