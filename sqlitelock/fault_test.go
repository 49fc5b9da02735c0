package sqlitelock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stilelock/stile/driver"
)

// Faults of a disk need a file system of their own, or a user of their own, and
// so a process of their own: the test binary again, with these set.
const (
	faultEnv    = "STILE_SQLITELOCK_FAULT"
	faultDirEnv = "STILE_SQLITELOCK_FAULT_DIR"
)

// faults are what such a process does. dir is empty and its own.
var faults = map[string]func(dir string) error{
	"full":     diskFull,
	"readonly": diskReadOnly,
	"denied":   directoryDenied,
	"timens":   otherTimeNamespace,
	"inside":   insideTimeNamespace,
}

// diskFull fills the disk below an open store and frees it again.
func diskFull(dir string) error {
	if err := mountTmpfs(dir, "size=2m"); err != nil {
		return err
	}
	ctx := context.Background()
	path := filepath.Join(dir, "locks.db")
	d, err := Open(ctx, path, nil)
	if err != nil {
		return err
	}
	held := request("held")
	grant, err := d.Acquire(ctx, held)
	if err != nil {
		return err
	}
	filler := filepath.Join(dir, "filler")
	if err := fill(filler); err != nil {
		return err
	}
	// What space SQLite has of its own is used up before long.
	acquired := 0
	for ; ; acquired++ {
		req := request(fmt.Sprintf("k/%d", acquired))
		req.Metadata = map[string]string{"text": strings.Repeat("x", 3000)}
		if _, err = d.Acquire(ctx, req); err != nil {
			break
		}
		if acquired > 5000 {
			return errors.New("a full disk takes everything")
		}
	}
	if err := checkUnavailable(err, "free space"); err != nil {
		return fmt.Errorf("acquire on a full disk: %w", err)
	}
	_, err = Open(ctx, filepath.Join(dir, "other.db"), nil)
	if err := checkUnavailable(err, ""); err != nil {
		return fmt.Errorf("open a new file on a full disk: %w", err)
	}
	if err := os.Remove(filler); err != nil {
		return err
	}
	// The same store works again, and nothing of it is lost.
	if err := d.Renew(ctx, holdOf(&held, grant), time.Minute); err != nil {
		return fmt.Errorf("renew when there is space again: %w", err)
	}
	if _, err := d.Acquire(ctx, request("after")); err != nil {
		return fmt.Errorf("acquire when there is space again: %w", err)
	}
	keys := 0
	for _, err := range d.List(ctx, "") {
		if err != nil {
			return err
		}
		keys++
	}
	if keys != acquired+2 {
		return fmt.Errorf("%d keys are held, want %d", keys, acquired+2)
	}
	fmt.Fprintf(os.Stdout, "%d leases fitted\n", acquired)
	return d.Close()
}

// fill takes all space that there is.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill the disk: %w", err)
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return min(len(p), 512), nil }

// diskReadOnly makes the disk below an open store read-only for a while.
func diskReadOnly(dir string) error {
	if err := mountTmpfs(dir, "size=8m"); err != nil {
		return err
	}
	ctx := context.Background()
	path := filepath.Join(dir, "locks.db")
	d, err := Open(ctx, path, nil)
	if err != nil {
		return err
	}
	held := request("held")
	grant, err := d.Acquire(ctx, held)
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		return err
	}
	if err := remount(dir, true); err != nil {
		return err
	}
	for _, name := range []string{"locks.db", "new.db", "new/dir/locks.db"} {
		d, err := Open(ctx, filepath.Join(dir, name), nil)
		if err == nil {
			_, err = d.Acquire(ctx, request("k"))
		}
		if err := checkUnavailable(err, ""); err != nil {
			return fmt.Errorf("%s on a read-only disk: %w", name, err)
		}
		fmt.Fprintln(os.Stdout, err)
	}
	if err := remount(dir, false); err != nil {
		return err
	}
	if d, err = Open(ctx, path, nil); err != nil {
		return err
	}
	if err := d.Renew(ctx, holdOf(&held, grant), time.Minute); err != nil {
		return fmt.Errorf("renew when the disk can be written again: %w", err)
	}
	return d.Close()
}

// directoryDenied runs as somebody who may not write in dir, where there is a
// store of somebody else's.
func directoryDenied(dir string) error {
	for _, name := range []string{"new.db", "new/dir/locks.db", "theirs.db"} {
		d, err := Open(context.Background(), filepath.Join(dir, name), nil)
		if err == nil {
			_, err = d.Acquire(context.Background(), request("k"))
		}
		if err := checkUnavailable(err, "permission"); err != nil {
			return fmt.Errorf("%s in a directory that cannot be written: %w", name, err)
		}
		fmt.Fprintln(os.Stdout, err)
	}
	return nil
}

func checkUnavailable(err error, want string) error {
	switch {
	case err == nil:
		return errors.New("no error")
	case !errors.Is(err, driver.ErrUnavailable) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), want):
		return fmt.Errorf("not an ErrUnavailable of one line with %q: %w", want, err)
	}
	return nil
}
