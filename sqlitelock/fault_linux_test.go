package sqlitelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func init() {
	if os.Getenv(faultEnv) == "timens" {
		runtime.LockOSThread() // The namespaces of a process are those of its first thread.
	}
}

func TestFullDisk(t *testing.T)     { runInNamespace(t, "full") }
func TestReadOnlyDisk(t *testing.T) { runInNamespace(t, "readonly") }

// runInNamespace runs a fault in a process with mounts of its own.
func runInNamespace(t *testing.T, fault string) {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 { // Who is not root may be in a namespace of users.
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	runFault(t, fault, t.TempDir(), attr)
}

// TestDeniedDirectory runs as somebody who is not root, whom permissions bind.
func TestDeniedDirectory(t *testing.T) {
	dir := t.TempDir()
	d := openAt(t, filepath.Join(dir, "theirs.db"), nil)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		const nobody = 65534
		attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	} else if err := os.Chmod(filepath.Join(dir, "theirs.db"), 0o000); err != nil {
		t.Fatal(err)
	}
	// The way to the directory must be open, and the directory itself not.
	for parent := dir; parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for parent := dir; parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
			_ = os.Chmod(parent, 0o755) // Or the cleaning of TempDir says what went wrong.
		}
	})
	runFault(t, "denied", dir, attr)
}

func runFault(t *testing.T, fault, dir string, attr *syscall.SysProcAttr) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if attr.Credential != nil { // The binary may be where only root can read.
		self = copyForAll(t, self)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), faultEnv+"="+fault, faultDirEnv+"="+dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil && (attr.Cloneflags != 0 && os.IsPermission(err) || strings.Contains(text, errNoNamespace)) {
		t.Skipf("this system does not let a test have namespaces: %v %s", err, text)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if text != "" {
		t.Log(text)
	}
}

func copyForAll(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // Below those that the test has opened for all.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "test")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// errNoNamespace begins the error of a process that may not have namespaces.
const errNoNamespace = "this system does not permit it"

func mountTmpfs(dir, options string) error {
	// Mounts of this process are its own.
	err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("tmpfs", dir, "tmpfs", 0, options)
	}
	if err != nil {
		return fmt.Errorf("%s: mount: %w", errNoNamespace, err)
	}
	return nil
}

func remount(dir string, readOnly bool) error {
	flags := uintptr(syscall.MS_REMOUNT)
	if readOnly {
		flags |= syscall.MS_RDONLY
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, ""); err != nil {
		return fmt.Errorf("remount: %w", err)
	}
	return nil
}

// TestTimeNamespace: processes whose CLOCK_BOOTTIME differs, as it may between
// containers, agree on when a lease runs out.
func TestTimeNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may make a time namespace")
	}
	runFault(t, "timens", t.TempDir(), &syscall.SysProcAttr{})
}

// inNamespaceTTL is the TTL of the lease that is waited for.
const inNamespaceTTL = 700 * time.Millisecond

// otherTimeNamespace holds a key while a process whose clock is a day ahead
// waits for it.
func otherTimeNamespace(dir string) error {
	d, err := Open(context.Background(), filepath.Join(dir, "locks.db"), nil)
	if err != nil {
		return err
	}
	const cloneNewTime = 0x80
	if err := syscall.Unshare(cloneNewTime); err != nil { // It holds for children.
		return fmt.Errorf("%s: unshare: %w", errNoNamespace, err)
	}
	if err := os.WriteFile("/proc/self/timens_offsets", []byte("boottime 86400 5"), 0); err != nil {
		return fmt.Errorf("%s: %w", errNoNamespace, err)
	}
	// From here on the kernel does not tell this process its own offset.
	_, err = Open(context.Background(), filepath.Join(dir, "locks.db"), nil)
	if err := checkUnavailable(err, "time namespace"); err != nil {
		return err
	}
	req := request("k")
	req.TTL = inNamespaceTTL
	if _, err := d.Acquire(context.Background(), req); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), faultEnv+"=inside")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	return d.Close()
}

func insideTimeNamespace(dir string) error {
	offsets, err := os.ReadFile("/proc/self/timens_offsets")
	if err != nil {
		return err
	}
	if !strings.Contains(string(offsets), "86400") {
		return fmt.Errorf("this process is in no namespace of its own: %s", offsets)
	}
	d, err := Open(context.Background(), filepath.Join(dir, "locks.db"), nil)
	if err != nil {
		return err
	}
	held := time.Duration(0)
	for s, err := range d.List(context.Background(), "k") {
		if err != nil {
			return err
		}
		held = time.Until(s.Holders[0].Expires)
	}
	if held <= 0 || held > inNamespaceTTL {
		return fmt.Errorf("the lease has %v left of %v", held, inNamespaceTTL)
	}
	start := time.Now()
	if _, err := d.Acquire(context.Background(), request("k")); err != nil {
		return err
	}
	waited := time.Since(start)
	fmt.Fprintf(os.Stdout, "the lease had %v left, and was waited for %v\n", held, waited)
	if waited < held-50*time.Millisecond {
		return errors.New("that is too early")
	}
	return d.Close()
}
