package guard

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the one that inherits every descendant whose
// parent ends, so that none can leave the tree.
func adoptOrphans() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// signalTree signals the group (0: none) and every descendant of this process
// except skip (0: nobody), parents before their children so that none is
// replaced. It returns those that were alive. A process that is born meanwhile
// may be missed: call it until nothing is left.
func signalTree(group, skip int, signal unix.Signal) (alive []int) {
	if group > 1 {
		_ = unix.Kill(-group, signal) // In one step for the whole group; who is left is found below.
	}
	for _, pid := range descendants(os.Getpid()) {
		if pid == skip {
			continue
		}
		dead := isDead(pid)
		if err := unix.Kill(pid, signal); !dead && !errors.Is(err, unix.ESRCH) {
			alive = append(alive, pid)
		}
	}
	return alive
}

// termOutside sends SIGTERM to the descendants that are not in the group,
// which has got it as a whole.
func termOutside(group int) {
	for _, pid := range descendants(os.Getpid()) {
		if in, err := unix.Getpgid(pid); err == nil && in != group && !isDead(pid) {
			_ = unix.Kill(pid, unix.SIGTERM) // It may be gone, or not ours to signal: SIGKILL follows.
			_ = unix.Kill(pid, unix.SIGCONT)
		}
	}
}

// descendants returns the processes below root, parents first.
func descendants(root int) []int {
	found, listed := childrenOf(root)
	if !listed {
		return scan(root)
	}
	for i := 0; i < len(found); i++ {
		more, _ := childrenOf(found[i]) // Gone meanwhile: its children are root's now, for the next call.
		found = append(found, more...)
	}
	return found
}

// childrenOf reads the kernel's list of a process's children. It is false if
// there is no such list.
func childrenOf(pid int) (children []int, listed bool) {
	lists, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	if err != nil {
		return nil, false
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // That thread has just ended.
		}
		for field := range bytes.FieldsSeq(text) {
			if child, err := strconv.Atoi(string(field)); err == nil {
				children = append(children, child)
			}
		}
	}
	return children, len(lists) > 0
}

// scan finds the processes below root where the kernel keeps no lists of
// children: it reads every process's parent.
func scan(root int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := make(map[int][]int)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if fields := statOf(pid); len(fields) > 1 {
			if parent, err := strconv.Atoi(string(fields[1])); err == nil {
				children[parent] = append(children[parent], pid)
			}
		}
	}
	found := children[root]
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found
}

// isDead reports whether nothing of the process runs any more. The first
// thread of a process may have ended long before the others: it is a zombie
// then, and the process is not dead.
func isDead(pid int) bool {
	fields := statOf(pid)
	if len(fields) == 0 {
		return true
	}
	if state := fields[0][0]; state != 'Z' && state != 'X' {
		return false
	}
	threads, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	return err != nil || len(threads) <= 1
}

// statOf returns the fields of /proc/PID/stat from the third on: the state,
// the parent, …. The second is the program's name and may hold anything.
func statOf(pid int) [][]byte {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	return bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
}

// treeGone reports whether all that has to be ended has ended. This process
// inherits every descendant, so it is when no child is left.
func (g *guard) treeGone(childrenLeft bool) bool { return !childrenLeft }

// killTree sends SIGKILL to all that has to be ended. The group is signalled
// as one only while its number is surely the command's.
func (g *guard) killTree() (alive []int) { return signalTree(g.pid, 0, unix.SIGKILL) }

// killBelow sends SIGKILL to all descendants of this process but skip.
func killBelow(_, skip int) (alive []int) { return signalTree(0, skip, unix.SIGKILL) }

// executableOfSelf names this program's file, even if another has been put in
// its place meanwhile.
func executableOfSelf() (string, error) { return "/proc/self/exe", nil }
