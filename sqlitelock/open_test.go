package sqlitelock

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/locktest"
)

// TestOddPaths opens files whose paths mean something to a URL, to SQLite or
// to a shell, by path and by URL.
func TestOddPaths(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"plain.db", "with space.db", "what?.db", "a#b.db", "100%.db", "100%41.db", "ключ-鍵-🔑.db", "a&b=c;d+e.db",
		"'quoted\".db", "tab\there.db", "line\nbreak.db", "back\\slash.db", "-dash.db", "~tilde.db", "$HOME.db", "x:y.db",
		"not\xffutf8.db", "new/dir/below.db", strings.Repeat("long", 50) + ".db",
		strings.Repeat("deep/", 60) + "locks.db",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			byPath := openAt(t, path, nil)
			if _, err := os.Stat(path); err != nil {
				t.Fatalf("the file is not where it should be: %v", err)
			}
			byURL := openURLAt(t, "sqlite:"+(&url.URL{Path: path}).EscapedPath())
			slashes := openURLAt(t, "sqlite://"+(&url.URL{Path: path}).EscapedPath())
			held := mustAcquire(t, byPath, "k")
			for _, other := range []*Driver{byURL, slashes} {
				req := request("k")
				req.NoWait = true
				if _, err := other.Acquire(context.Background(), req); !errors.Is(err, driver.ErrBusy) {
					t.Fatalf("another way to the same file: %v, want busy", err)
				}
			}
			// A waiter is woken wherever the file is.
			waiting := startAcquire(t, byURL, request("k"))
			untilWaiting(t, byPath, "k", 1)
			released := time.Now()
			mustRelease(t, byPath, held)
			waiting.granted(t)
			if byURL.post.current() == "" {
				t.Error("there is no socket")
			}
			if took := waiting.at.Sub(released); took > 900*time.Millisecond {
				t.Errorf("the waiter was woken after %v, not by a message", took)
			}
		})
	}
}

func openURLAt(t *testing.T, rawURL string) *Driver {
	t.Helper()
	d, err := driver.Open(context.Background(), rawURL)
	if err != nil {
		t.Fatalf("open %s: %v", rawURL, err)
	}
	t.Cleanup(func() { d.Close() })
	return d.(*Driver)
}

func TestRelativePaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for url, want := range map[string]string{
		"sqlite:locks.db":             "locks.db",
		"sqlite:./other.db":           "other.db",
		"sqlite:a/b%3Fc.db":           "a/b?c.db",
		"sqlite:~/x.db":               "~/x.db",
		"SQLITE:upper.db":             "upper.db",
		"sqlite:q.db?retention=2h":    "q.db",
		"sqlite:r.db?busy_timeout=1s": "r.db",
	} {
		openURLAt(t, url)
		if _, err := os.Stat(filepath.Join(dir, want)); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestBadURLs(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", "dangling"); err != nil {
		t.Fatal(err)
	}
	before := listDir(t, dir)
	for url, want := range map[string]string{
		"sqlite:":                            "it is empty",
		"sqlite://":                          "it is empty",
		"sqlite::memory:":                    "use mem:",
		"sqlite:file:x.db":                   "not a file: URL",
		"sqlite://host/path.db":              "no host",
		"sqlite://user:secret@host/path.db":  "no host",
		"sqlite:new.db#frag":                 "%23",
		"sqlite:new%00.db":                   "zero byte",
		"sqlite:new.db?mode=ro":              "unknown query key",
		"sqlite:new.db?retention=soon":       "want a duration",
		"sqlite:new.db?retention=0s":         "more than 0",
		"sqlite:new.db?busy_timeout=-1s":     "more than 0",
		"sqlite:folder":                      "it is a directory",
		"sqlite:file/below.db":               "not a directory",
		"sqlite:dangling":                    "leads nowhere",
		"sqlite:" + strings.Repeat("x", 300): "name too long",
	} {
		_, err := driver.Open(context.Background(), url)
		if !errors.Is(err, driver.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("open %.60s: %v, want an ErrInvalid with %q", url, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("open %.60s: the error has what it must not: %v", url, err)
		}
	}
	if after := listDir(t, dir); after != before {
		t.Errorf("files before %s, after %s", before, after)
	}
	if _, err := Open(context.Background(), "new.db", &Options{Retention: -1}); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("negative retention: %v", err)
	}
}

func listDir(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// TestPermissions: what Open makes is its owner's alone, and what a group
// shares the sockets share too.
func TestPermissions(t *testing.T) {
	base := t.TempDir()
	path := filepath.Join(base, "state", "stile", "locks.db")
	d := openAt(t, path, nil)
	mustAcquire(t, d, "k")
	wantMode(t, filepath.Dir(path), 0o700)
	wantMode(t, path, 0o600)
	wantMode(t, path+"-wal", 0o600)
	wantMode(t, path+".wake", 0o700)

	shared := filepath.Join(base, "shared.db")
	openAt(t, shared, nil)
	if err := os.Chmod(shared, 0o660); err != nil {
		t.Fatal(err)
	}
	d = openAt(t, shared, nil)
	mustAcquire(t, d, "k")
	wantMode(t, shared+".wake", 0o770)
	wantMode(t, filepath.Join(shared+".wake", d.post.current()), 0o660)
}

func wantMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s has mode %o, want %o", filepath.Base(path), got, want)
	}
}

// TestSymlink: whoever comes by a symbolic link meets those who did not.
func TestSymlink(t *testing.T) {
	dir := t.TempDir()
	direct := openAt(t, filepath.Join(dir, "real", "locks.db"), nil)
	for name, target := range map[string]string{"link.db": "real/locks.db", "dir": "real"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"link.db", "dir/locks.db"} {
		other := openAt(t, filepath.Join(dir, path), nil)
		held := mustAcquire(t, direct, "k")
		waiting := startAcquire(t, other, request("k"))
		untilWaiting(t, direct, "k", 1)
		if other.post.dir != direct.post.dir {
			t.Errorf("by %s the sockets are in %s, not in %s", path, other.post.dir, direct.post.dir)
		}
		mustRelease(t, direct, held)
		mustRelease(t, other, waiting.granted(t))
	}
}

// TestOpenTogether has many open a file that does not exist yet, at once.
func TestOpenTogether(t *testing.T) {
	locktest.CheckLeaks(t)
	path := filepath.Join(t.TempDir(), "locks.db")
	const n = 12
	opened := make(chan error, n)
	for range n {
		go func() {
			d, err := Open(context.Background(), path, nil)
			if err == nil {
				_, err = d.Acquire(context.Background(), request("k"+driver.NewLeaseID().String()))
				err = errors.Join(err, d.Close())
			}
			opened <- err
		}()
	}
	for range n {
		if err := <-opened; err != nil {
			t.Error(err)
		}
	}
	d := openAt(t, path, nil)
	held := 0
	for _, err := range d.List(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		held++
	}
	if held != n {
		t.Errorf("%d keys are held, want %d", held, n)
	}
}

func TestOpenWithEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	path := filepath.Join(t.TempDir(), "locks.db")
	if _, err := Open(ctx, path, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v, want canceled", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was made all the same")
	}
}

// TestCloseLeavesNothingOpen: the last to leave takes SQLite's log with it, so
// no connection has stayed behind.
func TestCloseLeavesNothingOpen(t *testing.T) {
	locktest.CheckLeaks(t)
	path := filepath.Join(t.TempDir(), "locks.db")
	one, two := openAt(t, path, nil), openAt(t, path, nil)
	held := mustAcquire(t, one, "k")
	waiting := startAcquire(t, two, request("k"))
	untilWaiting(t, one, "k", 1)
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := waiting.result(t); !errors.Is(err, driver.ErrClosed) || errors.Is(err, driver.ErrAmbiguous) {
		t.Errorf("Acquire in a store that was closed: %v", err)
	}
	if s := state(t, one, "k"); len(s.Waiters) != 0 {
		t.Errorf("after Close there are waiters: %+v", s)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if left := listDir(t, filepath.Dir(path)); left != "locks.db locks.db.wake" {
		t.Errorf("the last Close leaves %s", left)
	}
	if left := socketsOf(t, path); len(left) != 0 {
		t.Errorf("the last Close leaves the sockets %v", left)
	}
	for _, err := range []error{one.Close(), two.Close()} {
		if err != nil {
			t.Errorf("Close again: %v", err)
		}
	}
	if _, err := one.Acquire(context.Background(), request("k")); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("Acquire after Close: %v", err)
	}
	again := openAt(t, path, nil)
	if err := again.Renew(context.Background(), held, time.Minute); err != nil {
		t.Errorf("a lease does not outlive Close: %v", err)
	}
}

// TestOpenAndCloseLeakNoDescriptors: statements that were prepared on a single
// connection keep its file open until each of them is closed.
func TestOpenAndCloseLeakNoDescriptors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	use := func() {
		d := openAt(t, path, nil)
		mustRelease(t, d, mustAcquire(t, d, "k"))
		state(t, d, "k")
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	use()
	before := openFiles(t)
	for range 30 {
		use()
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files are open after 30 times, %d before", after, before)
	}
	if info, err := os.Stat(path); err != nil || info.Size() < 3*4096 {
		t.Errorf("SQLite's log was not taken into the file at the last Close: %v, %v", info.Size(), err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
