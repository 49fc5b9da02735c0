package sqlitelock

import (
	"fmt"
	"path/filepath"
	"syscall"
)

// maxSocketPath is the longest path of a socket, without the final zero.
const maxSocketPath = 107

// socketDir returns where the sockets of a database file's processes are.
func socketDir(path string) string { return path + ".wake" }

// agreed reports whether all processes are sure to use the same socketDir.
func agreed(string) bool { return true }

// at calls use with a name for the socket at addr. A path that is too long for
// a socket is reached through a descriptor of its directory.
func (p *postbox) at(addr string, use func(name string) error) error {
	path := filepath.Join(p.dir, addr)
	if len(path) <= maxSocketPath {
		return use(path)
	}
	fd, err := syscall.Open(p.dir, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	defer syscall.Close(fd) //nolint:errcheck // It was only looked up in.
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", fd, addr))
}
