package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// A stat is what /proc/PID/stat tells of a process.
type stat struct {
	parent int
	state  byte
	cpu    time.Duration // user and system time
}

// statOf reads a process's stat. It fails for one that is gone.
func statOf(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The program's name, in parentheses, may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return stat{}, fmt.Errorf("read stat of %d: %d fields", pid, len(fields))
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("read stat of %d: %w", pid, err)
		}
		ticks += n
	}
	parent, err := strconv.Atoi(fields[1])
	const ticksPerSecond = 100 // USER_HZ on every platform that Go runs on.
	return stat{parent, fields[0][0], time.Duration(ticks) * time.Second / ticksPerSecond}, err
}

// isOurs reports whether this test process is the parent of pid.
func isOurs(pid int) bool {
	s, err := statOf(pid)
	return err == nil && s.parent == os.Getpid()
}

// childrenOf lists the processes whose parent is pid.
func childrenOf(pid int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var children []int
	for _, entry := range entries {
		child, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if s, err := statOf(child); err == nil && s.parent == pid {
			children = append(children, child)
		}
	}
	return children
}
