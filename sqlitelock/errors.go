package sqlitelock

import (
	"errors"
	"fmt"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/stilelock/stile/driver"
)

// errDamaged is what a row is that no version of this package wrote.
var errDamaged = errors.New("a row holds what was never written")

// errBusy ends a wait for the turn to write.
var errBusy = errors.New("it was locked all the time")

// primaryCode returns SQLite's result code without its extension; 0 if err is
// not SQLite's.
func primaryCode(err error) int {
	var sqliteErr *sqlite.Error
	if !errors.As(err, &sqliteErr) {
		return 0
	}
	return sqliteErr.Code() & 0xff
}

// isBusy reports whether another connection was in the way for the moment.
func isBusy(err error) bool {
	switch primaryCode(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return true
	default:
		return false
	}
}

// connectionIsGood reports whether the connection that returned err can be
// used again.
func connectionIsGood(err error) bool {
	return isBusy(err) || primaryCode(err) == sqlite3.SQLITE_FULL
}

// unavailable says what is wrong with the database file and what to do. Every
// error that comes from the file passes through here once.
func unavailable(path string, err error) error {
	if errors.Is(err, driver.ErrUnavailable) || errors.Is(err, driver.ErrInvalid) {
		return err
	}
	return fmt.Errorf("%w: database file %s %s: %w", driver.ErrUnavailable, path, advice(err), err)
}

// ambiguous says that nobody knows whether the disk took the commit.
func ambiguous(path string, err error) error {
	return fmt.Errorf("%w: database file %s %s: %w", driver.ErrAmbiguous, path, advice(err), err)
}

// advice says what an error means for people, and what they can do.
func advice(err error) string {
	const (
		locked  = "is locked: look for a process that is stopped, or a program other than this one that uses it"
		corrupt = "is corrupt: stop everything that uses it, then move it away to start anew"
	)
	switch primaryCode(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return locked
	case sqlite3.SQLITE_FULL:
		return "cannot grow: free space on its disk"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return "cannot be written: check the permissions of it and of its directory, and how its disk is mounted"
	case sqlite3.SQLITE_CANTOPEN:
		return "cannot be opened: check that its directory exists, and the permissions of both"
	case sqlite3.SQLITE_CORRUPT:
		return corrupt
	case sqlite3.SQLITE_NOTADB:
		return "is not a SQLite database: choose another path, or move it away"
	case sqlite3.SQLITE_IOERR:
		return "cannot be read or written: check its disk"
	}
	switch {
	case errors.Is(err, errBusy):
		return locked
	case errors.Is(err, errDamaged):
		return corrupt
	case errors.Is(err, os.ErrPermission):
		return "cannot be opened: check the permissions of it and of its directory"
	default:
		return "cannot be used"
	}
}
