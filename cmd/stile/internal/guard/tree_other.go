//go:build unix && !linux

package guard

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// adoptOrphans has no counterpart here: descendants that leave the command's
// group are out of reach.
func adoptOrphans() error { return nil }

// signalTree signals the group, and returns it if it was alive.
func signalTree(group, _ int, signal unix.Signal) (alive []int) {
	if group <= 1 {
		return nil
	}
	if err := unix.Kill(-group, signal); err == nil {
		return []int{group}
	}
	return nil // EPERM too: on these systems it is the answer for a group of zombies.
}

// termOutside has nobody to find here.
func termOutside(int) {}

// treeGone reports whether all that has to be ended has ended: the command and
// its group.
func (g *guard) treeGone(bool) bool {
	return g.pid == 0 && errors.Is(unix.Kill(-g.group, 0), unix.ESRCH)
}

// killTree sends SIGKILL to the command's group.
func (g *guard) killTree() (alive []int) { return signalTree(g.group, 0, unix.SIGKILL) }

// killBelow sends SIGKILL to the group.
func killBelow(group, _ int) (alive []int) { return signalTree(group, 0, unix.SIGKILL) }

// executableOfSelf names this program's file.
func executableOfSelf() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find own program: %w", err)
	}
	return self, nil
}
