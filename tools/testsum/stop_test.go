package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// stopWhenRunning runs the test in dir, which never ends, and ends the whole run's time once it runs.
func stopWhenRunning(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	r := &result{dir: ".", rootPath: "example.org/m"}
	var out bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		testModule(ctx, r, dir, []string{"test", "-json", "-count=1", "."}, &out, io.Discard)
	}()
	waitForFile(t, filepath.Join(dir, "running"), done)
	cancel(errDeadline)
	<-done
	wantText(t, out.String()+strings.Join(r.failures, "\n"), ". TestHang", ".: stopped: the whole run took longer", "SIGQUIT", "a_test.go:3")
	if r.failed < 2 || r.passed != 0 {
		t.Errorf("have %+v: %q", r.counts, r.failures)
	}

	late := &result{dir: "other"}
	testModule(ctx, late, dir, []string{"test", "."}, &out, io.Discard)
	wantFailures(t, late, "", "other: not run: the whole run took longer")
}

// waitForFile polls for a file that another process makes, until done or a minute has gone by.
func waitForFile(t *testing.T, name string, done <-chan struct{}) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(name); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-done:
			t.Fatalf("go test ended before %s was there", name)
		case <-limit:
			t.Fatalf("%s did not appear within a minute", name)
		}
	}
}
