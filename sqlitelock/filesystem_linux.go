package sqlitelock

import (
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/stilelock/stile/driver"
)

// networkFileSystems are the types, as statfs(2) tells them, of file systems
// whose files other machines change too. Neither SQLite's shared memory nor a
// clock that starts at boot works across machines.
var networkFileSystems = map[uint32]string{
	0x6969:     "NFS",
	0xff534d42: "SMB",
	0xfe534d42: "SMB",
	0x517b:     "SMB",
	0x01021997: "9P",
	0x00c36400: "Ceph",
	0x5346414f: "AFS",
	0x6b414653: "AFS",
	0x73757245: "Coda",
	0x564c:     "NCP",
	0x0bd00bd0: "Lustre",
	0x7461636f: "OCFS2",
	0x01161970: "GFS2",
	0x47504653: "GPFS",
	0x19830326: "BeeGFS",
}

// checkFileSystem refuses a path on a network file system.
func checkFileSystem(path string) error {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &stat); err != nil {
		return nil //nolint:nilerr // What is wrong with the directory shows when the file is opened.
	}
	if name, network := networkFileSystems[uint32(stat.Type)]; network {
		return fmt.Errorf("%w: path %s: it is on a network file system (%s): choose a path on a local disk", driver.ErrInvalid, path, name)
	}
	return nil
}
