//go:build unix

package main

import (
	"context"
	"errors"
	"os/exec"
	"syscall"
)

// ownSession starts cmd in a session of its own: without a controlling terminal, as in CI, and so that it
// can be stopped together with the tests that it runs.
func ownSession(ctx context.Context, cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error {
		if errors.Is(context.Cause(ctx), errDeadline) {
			// A Go test prints its goroutines on SIGQUIT: what hangs is what one wants to know.
			return syscall.Kill(-cmd.Process.Pid, syscall.SIGQUIT)
		}
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	}
}

// endSession ends what cmd left behind in its process group.
func endSession(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // ESRCH: nothing was left, as it should be
	}
}
