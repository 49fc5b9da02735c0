package sqlitelock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stilelock/stile/driver"
)

// maxReaders is how many goroutines read the file at once.
const maxReaders = 4

// pragmas are the settings of the connection that writes. The disk has a commit
// before anybody hears of it, but for light ones, see light.go. The limit
// shrinks a log that a slow reader let grow, and is well above what the log has
// otherwise: to write into a file that keeps its size is faster.
const pragmas = "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=33554432"

// A database is one opened file: a connection that writes, for the goroutine
// that writes, and some that read, for everybody.
type database struct {
	path    string
	file    os.FileInfo
	checked atomic.Int64 // since processStart, when file was last seen at path

	writer *sql.DB
	conn   *sql.Conn // the only connection of writer
	synced bool      // conn has its commits on disk; of the writing goroutine
	statements

	reader *sql.DB
	reads
}

// opening keeps goroutines from opening files at the same time. To close a
// file that was just created is to drop every lock that this process has on
// it, which a connection made in between would not survive.
var opening sync.Mutex

// openDatabase opens the file at path, which resolvePath returned, and makes
// it if it is missing.
func openDatabase(ctx context.Context, path, boot string, busy time.Duration) (*database, error) {
	opening.Lock()
	defer opening.Unlock()
	if err := createFile(path); err != nil {
		return nil, unavailable(path, err)
	}
	db := &database{path: path}
	err := db.open(ctx, boot, busy)
	if err != nil {
		db.close()
		return nil, unavailable(path, err)
	}
	return db, nil
}

func (db *database) open(ctx context.Context, boot string, busy time.Duration) (err error) {
	if db.file, err = os.Stat(db.path); err != nil {
		return err
	}
	if db.writer, err = sql.Open("sqlite", dataSource(db.path, false)); err != nil {
		return err
	}
	db.writer.SetMaxOpenConns(1)
	if db.conn, err = db.writer.Conn(whole); err != nil {
		return err
	}
	err = whileBusy(ctx, busy, func() error {
		// Even this may find the file locked, by another process that creates it.
		if _, err := db.conn.ExecContext(whole, pragmas); err != nil {
			return err
		}
		return prepareSchema(db.conn, boot)
	})
	if err != nil {
		return err
	}
	if db.reader, err = sql.Open("sqlite", dataSource(db.path, true)); err != nil {
		return err
	}
	db.reader.SetMaxOpenConns(maxReaders)
	db.reader.SetMaxIdleConns(maxReaders)
	db.synced = true // By the pragmas.
	if err = whileBusy(ctx, busy, func() error { return db.statements.prepare(db.conn) }); err != nil {
		return err
	}
	return whileBusy(ctx, busy, func() error { return db.reads.prepare(db.reader) })
}

// close lets go of the file. What is in it is safe already.
func (db *database) close() {
	if db.reader != nil {
		_ = db.reader.Close()
	}
	db.statements.close()
	if db.conn != nil {
		_ = db.conn.Close()
	}
	if db.writer != nil {
		_ = db.writer.Close()
	}
}

// checkEvery is how long the file is taken to be in its place after a look.
const checkEvery = 100 * time.Millisecond

// inPlace reports whether the file that is open is still the one at its path,
// or was a moment ago.
func (db *database) inPlace() bool {
	now := time.Since(processStart)
	if now-time.Duration(db.checked.Load()) < checkEvery {
		return true
	}
	file, err := os.Stat(db.path)
	if err != nil || !os.SameFile(file, db.file) {
		return false
	}
	db.checked.Store(int64(now))
	return true
}

// processStart is what inPlace counts from, one long ago at its first look.
var processStart = time.Now().Add(-time.Hour)

// dataSource names a file to SQLite, whatever characters its path has.
func dataSource(path string, readOnly bool) string {
	source := "file:" + (&url.URL{Path: path}).EscapedPath() + "?mode=rw"
	if readOnly {
		source += "&_query_only=1"
	}
	return source
}

// resolvePath makes path absolute and free of symbolic links, so that all who
// use the file agree on what lies beside it. It creates missing directories.
func resolvePath(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%w: find the current directory: %w", driver.ErrUnavailable, err)
	}
	if err := os.MkdirAll(filepath.Dir(absolute), 0o700); err != nil {
		return "", badPath(absolute, "its directory cannot be created", err)
	}
	resolved, err := filepath.EvalSymlinks(absolute)
	if errors.Is(err, os.ErrNotExist) {
		var dir string
		dir, err = filepath.EvalSymlinks(filepath.Dir(absolute))
		resolved = filepath.Join(dir, filepath.Base(absolute))
	}
	if err != nil {
		return "", badPath(absolute, "it cannot be looked up", err)
	}
	if info, err := os.Lstat(resolved); err == nil && !info.Mode().IsRegular() {
		what := "it is no regular file"
		switch {
		case info.IsDir():
			what = "it is a directory"
		case info.Mode()&os.ModeSymlink != 0:
			what = "it is a symbolic link that leads nowhere"
		}
		return "", fmt.Errorf("%w: path %s: %s: name a file", driver.ErrInvalid, absolute, what)
	}
	return resolved, nil
}

func badPath(path, what string, err error) error {
	kind := driver.ErrUnavailable
	if errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		kind = driver.ErrInvalid
	}
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err // The path is named already.
	}
	return fmt.Errorf("%w: path %s: %s: %w", kind, path, what, err)
}

// createFile makes the file if it is missing, readable for its owner alone. It
// never opens one that exists, see opening.
func createFile(path string) error {
	var err error
	for range 2 {
		var file *os.File
		file, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		switch {
		case err == nil:
			return file.Close()
		case errors.Is(err, os.ErrExist):
			return nil
		case !errors.Is(err, os.ErrNotExist):
			return badPath(path, "it cannot be created", err)
		}
		// The directory was there when the store was opened.
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return badPath(path, "its directory cannot be created", err)
		}
	}
	return badPath(path, "it cannot be created", err)
}
