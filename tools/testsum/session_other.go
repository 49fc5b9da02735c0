//go:build !unix

package main

import (
	"context"
	"os/exec"
)

// ownSession keeps the default here: go test alone is killed when the run is stopped.
func ownSession(context.Context, *exec.Cmd) {}

// endSession has nothing to end: there is no process group to name.
func endSession(*exec.Cmd) {}
