//go:build unix && !linux

package sqlitelock

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// maxSocketPath is the longest path of a socket, without the final zero.
const maxSocketPath = 103

// socketDir returns where the sockets of a database file's processes are: a
// directory beside it or, where that path is too long for a socket, one among
// the temporary files that is named after it.
func socketDir(path string) string {
	dir := path + ".wake"
	if agreed(path) {
		return dir
	}
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(os.TempDir(), fmt.Sprintf("stile-%d-%s", os.Getuid(), hex.EncodeToString(sum[:6])))
}

// agreed reports whether all processes are sure to use the same socketDir.
// They may differ on where temporary files go.
func agreed(path string) bool { return len(path)+len(".wake/")+addrLen <= maxSocketPath }

// at calls use with a name for the socket at addr.
func (p *postbox) at(addr string, use func(name string) error) error {
	return use(filepath.Join(p.dir, addr))
}
