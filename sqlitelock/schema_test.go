package sqlitelock

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

// TestReboot: leases end with the boot they are of, tokens go on rising.
func TestReboot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	before := newHandClock("first boot")
	before.advance(time.Hour)
	d := openAt(t, path, &Options{clock: before})
	held := mustAcquire(t, d, "k")
	shared := request("s")
	shared.Mode = driver.Shared
	if _, err := d.Acquire(context.Background(), shared); err != nil {
		t.Fatal(err)
	}
	standInLine(t, d, "k", 3)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	// The same boot changes nothing.
	d = openAt(t, path, &Options{clock: before})
	if s := state(t, d, "k"); len(s.Holders) != 1 || len(s.Waiters) != 3 {
		t.Fatalf("after a reopen: %+v", s)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	// Another boot has a lease clock that starts anew, and its wall clock may
	// have gone back.
	after := newHandClock("second boot")
	after.at.Wall = before.at.Wall - 60_000_000
	d = openAt(t, path, &Options{clock: after})
	for s, err := range d.List(context.Background(), "") {
		t.Errorf("after a reboot: %+v, %v", s, err)
	}
	if err := d.Renew(context.Background(), held, time.Minute); !errors.Is(err, driver.ErrLost) {
		t.Errorf("renew a lease of an earlier boot: %v, want lost", err)
	}
	if next := mustAcquire(t, d, "k"); next.Token <= held.Token {
		t.Errorf("token %d after the reboot, %d before", next.Token, held.Token)
	}
	mustAcquire(t, d, "s")
}

// TestRefusedFiles: files that are not this store's are refused with a reason,
// and left as they are.
func TestRefusedFiles(t *testing.T) {
	dir := t.TempDir()
	foreign := func(name string, statements ...string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		db := rawOpen(t, path)
		for _, s := range statements {
			if _, err := db.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ours := func(name string) string {
		path := filepath.Join(dir, name)
		d := openAt(t, path, nil)
		mustAcquire(t, d, "k")
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer := ours("newer.db")
	if _, err := rawOpen(t, newer).Exec("PRAGMA user_version = 2"); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte("this is a shopping list, not a database\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "binary.db")
	if err := os.WriteFile(binary, bytes.Repeat([]byte{0xde, 0xad}, 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := ours("damaged.db")
	content, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, append(content[:100], bytes.Repeat([]byte{0xff}, len(content)-100)...), 0o600); err != nil {
		t.Fatal(err)
	}
	short := ours("short.db")
	if err := os.Truncate(short, 4096); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		foreign("other.db", "CREATE TABLE customers (id INTEGER PRIMARY KEY)"): "another program",
		foreign("marked.db", "PRAGMA application_id = 42"):                     "another program",
		foreign("version.db", "PRAGMA user_version = 1"):                       "another program",
		newer:   "newer version of Stile",
		text:    "not a SQLite database",
		binary:  "not a SQLite database",
		damaged: "corrupt",
		short:   "corrupt",
	} {
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Open(context.Background(), path, nil)
		if err == nil { // What is damaged may show only when it is used.
			_, err = d.Acquire(context.Background(), request("k"))
			if err := d.Close(); err != nil {
				t.Errorf("%s: close: %v", filepath.Base(path), err)
			}
		}
		wantUnavailable(t, filepath.Base(path), err, want)
		after, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, after) {
			t.Errorf("%s: the file was changed", filepath.Base(path))
		}
	}
}

// wantUnavailable checks an error for people: what is wrong, in one line.
func wantUnavailable(t *testing.T, what string, err error, want string) {
	t.Helper()
	switch {
	case !errors.Is(err, driver.ErrUnavailable):
		t.Errorf("%s: %v, want an ErrUnavailable", what, err)
	case errors.Is(err, driver.ErrAmbiguous):
		t.Errorf("%s: %v: nothing was done, so its outcome is known", what, err)
	case !strings.Contains(err.Error(), want):
		t.Errorf("%s: %v, want %q in it", what, err, want)
	case strings.ContainsAny(err.Error(), "\n\t"):
		t.Errorf("%s: the error has more than one line: %q", what, err)
	}
}

// TestDamagedRows: rows that no version of this package wrote are an error,
// not a panic and not a grant.
func TestDamagedRows(t *testing.T) {
	for _, damage := range []string{
		"UPDATE keys SET holder = x'01'",
		"UPDATE keys SET holder = x''",
		"UPDATE keys SET held = 0",
		"UPDATE keys SET held = 2",
		"UPDATE keys SET held = -1, holder = NULL",
		"UPDATE keys SET holder = NULL",
		"UPDATE keys SET last_token = -5",
		"UPDATE keys SET mode = 7",
		"UPDATE keys SET waiting = waiting + 1, held = 0, holder = NULL",
		"UPDATE entries SET phase = 9",
		"UPDATE entries SET id = x'00'",
		"UPDATE entries SET metadata = '{'",
		"DELETE FROM entries",
		"DROP TABLE entries",
	} {
		path := filepath.Join(t.TempDir(), "locks.db")
		d := openAt(t, path, nil)
		mustAcquire(t, d, "k")
		standInLine(t, d, "k", 1)
		mustAcquire(t, d, "sound")
		if _, err := rawOpen(t, path).Exec(damage); err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		req := request("k")
		req.NoWait = damage != "UPDATE entries SET phase = 9"
		_, err := d.Acquire(ctx, req)
		var busy *driver.BusyError
		if errors.As(err, &busy) {
			_, err = d.Acquire(ctx, request("k")) // It looks at more.
		}
		wantUnavailable(t, damage, err, "")
		for _, err = range d.List(ctx, "") {
			if err != nil {
				wantUnavailable(t, damage, err, "")
			}
		}
	}
}

func TestFileSystemType(t *testing.T) {
	if err := checkFileSystem(filepath.Join(t.TempDir(), "locks.db")); err != nil {
		t.Errorf("the directory for temporary files: %v", err)
	}
}
