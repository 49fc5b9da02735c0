package e2e

import (
	"bytes"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestBadStores(t *testing.T) {
	h := newHome(t)
	garbage := h.path("garbage.db")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("not a database\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := h.path("damaged.db")
	if status := h.stile("run", "--store", "sqlite:"+damaged, "k", "--", "true").run(); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	damage(t, damaged)
	for _, test := range []struct {
		store  string
		status int
		says   string
	}{
		{"sqlite:" + garbage, 69, "not a database"},
		{"sqlite:" + damaged, 69, "damaged.db"},
		{"sqlite:" + h.dir, 64, "directory"},
		{"sqlite:", 64, "path"},
		{"sqlite:a.db?colour=red", 64, "colour"},
		{"sqlite://host/a.db", 64, "host"},
		{"consul://user:hunter2@host", 64, "known schemes: redis, redis+cluster, redis+sentinel, rediss, sqlite"},
		{"nonsense", 64, "known schemes: redis, redis+cluster, redis+sentinel, rediss, sqlite"},
	} {
		p := h.stile("run", "--store", test.store, "k", "--", "touch", "ran")
		p.fails(test.status, test.says)
		if strings.Contains(p.stderr.String(), "hunter2") {
			t.Errorf("a password on stderr: %q", p.stderr.String())
		}
	}
	if _, err := os.Stat(h.path("ran")); err == nil {
		t.Error("a command was run without a lock")
	}
	if got, err := os.ReadFile(garbage); err != nil || !bytes.Equal(got, bytes.Repeat([]byte("not a database\n"), 1000)) {
		t.Errorf("somebody's file was changed: %v", err)
	}
}

// damage overwrites all but the first page of a database, so that it looks
// like one until it is read.
func damage(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	// What is still in the log would mend the file.
	if _, err := db.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	if len(text) < 2*page {
		t.Fatalf("%s has only %d bytes", path, len(text))
	}
	for i := page; i < len(text); i++ {
		text[i] = 0xa5
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A directory that cannot be written, and a file that cannot be read, by a
// user who is not root: root may do both.
func TestStoreWithoutPermission(t *testing.T) {
	h := newHome(t)
	readOnly := h.path("readonly")
	if err := os.Mkdir(readOnly, 0o555); err != nil {
		t.Fatal(err)
	}
	secret := h.path("secret.db")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, store := range []string{readOnly + "/locks.db", readOnly + "/new/locks.db", secret} {
		p := h.stile("run", "--store", "sqlite:"+store, "k", "--", "true")
		if os.Getuid() == 0 {
			asNobody(t, p)
		} else if store == secret {
			if err := os.Chmod(secret, 0); err != nil {
				t.Fatal(err)
			}
		}
		p.fails(69, "permission")
	}
}

// asNobody makes the process another user's, who can reach what it needs.
func asNobody(t *testing.T, p *process) {
	t.Helper()
	const nobody = 65534
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	for _, path := range []string{stileBinary, p.cmd.Dir} {
		for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // For the length of the test, others may look in.
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(p.cmd.Dir, 0o755); err != nil { //nolint:gosec // As above.
		t.Fatal(err)
	}
}

// onFullDisk runs in a mount namespace of its own. It holds a key, fills the
// disk, tries another key, makes room, and tries again.
const onFullDisk = `set -e
mount -t tmpfs -o size=1m tmpfs disk
export STILE_STORE="sqlite:$PWD/disk/locks.db"
"$STILE" run warm -- true
mkfifo hold
"$STILE" run --ttl 60s held -- sh -c 'echo "$STILE_TOKEN" >held-token; cat hold' &
while ! [ -s held-token ]; do sleep 0.01; done
dd if=/dev/zero of=disk/ballast bs=1k 2>/dev/null || true
status=0; "$STILE" run other -- touch ran 2>err-full || status=$?
echo "$status" >status-full
rm disk/ballast
"$STILE" show held --json >show
"$STILE" run other -- sh -c 'echo "$STILE_TOKEN" >other-token'
echo done >hold
wait $!
"$STILE" run held -- sh -c 'echo "$STILE_TOKEN" >next-token'`

func TestFullDisk(t *testing.T) {
	h := newHome(t)
	if err := os.Mkdir(h.path("disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	flags := []string{"-m"}
	if os.Getuid() != 0 {
		flags = []string{"-r", "-m"} // In a user namespace, where one may mount.
	}
	cmd := exec.Command("unshare", append(flags, "sh", "-c", onFullDisk)...)
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "STILE="+stileBinary, "HOME="+h.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := h.read("err-full")
	if got := strings.TrimSpace(h.read("status-full")); got != "69" || strings.Count(text, "\n") != 1 || !strings.Contains(text, "full") {
		t.Errorf("on the full disk: exit status %s, stderr %q; want 69 and one line", got, text)
	}
	if _, err := os.Stat(h.path("ran")); err == nil {
		t.Error("a command was run though its lease could not be written")
	}
	held := token(t, h, "held-token")
	if !strings.Contains(h.read("show"), strings.TrimSpace(h.read("held-token"))) {
		t.Errorf("the lease from before is gone: %s", h.read("show"))
	}
	if next := token(t, h, "next-token"); next <= held {
		t.Errorf("token %d after %d", next, held)
	}
	_ = token(t, h, "other-token")
}
