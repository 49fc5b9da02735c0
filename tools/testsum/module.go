package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// errDeadline ends a run that takes longer than the whole run may.
var errDeadline = errors.New("the whole run took longer than its limit")

// killDelay is how long go test has, once told to stop, before it is killed.
const killDelay = 15 * time.Second

// testModule runs go test with args in dir and takes what it says into r.
func testModule(ctx context.Context, r *result, dir string, args []string, stdout, stderr io.Writer) {
	begin := time.Now()
	defer func() { r.elapsed = time.Since(begin) }()
	if ctx.Err() != nil {
		r.fail(fmt.Sprintf("%s: not run: %v", r.dir, context.Cause(ctx)))
		return
	}
	events := newStream(r, stdout)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Stdout = events
	cmd.Stderr = stderr
	cmd.Env = testEnv(os.Environ(), dir)
	cmd.WaitDelay = killDelay
	ownSession(ctx, cmd)
	err := cmd.Run()
	endSession(cmd)
	events.close()
	if ctx.Err() != nil {
		r.fail(fmt.Sprintf("%s: stopped: %v", r.dir, context.Cause(ctx)))
		return
	}
	// Its own lines should have told what failed. When they did not, its exit status still counts.
	if err != nil && r.failed == 0 {
		r.fail(fmt.Sprintf("%s: go test: %v, and no test or package said why; see above", r.dir, err))
	}
}

// testEnv leaves out what would send tests to a store that the developer uses for real.
func testEnv(env []string, dir string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		return strings.HasPrefix(kv, "STILE_STORE=") || strings.HasPrefix(kv, "PWD=")
	})
	return append(env, "PWD="+dir)
}
