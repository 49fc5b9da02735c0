package sqlitelock

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/stilelock/stile/driver"
)

// checkFileSystem refuses a path on a network file system. Neither SQLite's
// shared memory nor a clock that starts at boot works across machines.
func checkFileSystem(path string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &stat); err != nil {
		return nil //nolint:nilerr // What is wrong with the directory shows when the file is opened.
	}
	if stat.Flags&unix.MNT_LOCAL == 0 {
		return fmt.Errorf("%w: path %s: it is on a network file system: choose a path on a local disk", driver.ErrInvalid, path)
	}
	return nil
}
