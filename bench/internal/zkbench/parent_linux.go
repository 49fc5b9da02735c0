package zkbench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dieWithParent has the kernel end a process when this program is killed. In a
// process group of its own it gets no Ctrl-C before the clients are closed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// ticksPerSecond is USER_HZ, which Linux shows the same on all machines that
// Go runs on.
const ticksPerSecond = 100

// processorTime is what a process has used so far, with what the kernel did
// for it.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	// After the name, which is in brackets and may hold anything: state, and then numbers.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("read processor time: %d fields", len(fields))
	}
	sum := 0
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("read processor time: %w", err)
		}
		sum += ticks
	}
	return time.Duration(sum) * time.Second / ticksPerSecond, nil
}

// inMemory reports whether a folder is on a file system that has no disk.
func inMemory(dir string) (bool, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return false, fmt.Errorf("look at file system of %s: %w", dir, err)
	}
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	return stat.Type == tmpfs || stat.Type == ramfs, nil
}
