package zookeeper

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile"
	_ "github.com/stilelock/stile/zklock"
)

// patience bounds every wait for something that must happen.
const patience = 60 * time.Second

// A server is a ZooKeeper server of a test's own.
type server struct {
	addr string
}

// startServer starts a ZooKeeper server from Debian's jars on a free port. It
// ends with the test.
func startServer(t *testing.T) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: listener.Addr().String()}
	listener.Close()
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := "tickTime=2000\ndataDir=" + dir + "\nclientPortAddress=127.0.0.1\nclientPort=" + port +
		"\nadmin.enableServer=false\n4lw.commands.whitelist=srvr,dump\n"
	if err := os.WriteFile(filepath.Join(dir, "zoo.cfg"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	const jars = "/usr/share/java/zookeeper.jar:/usr/share/java/zookeeper-jute.jar:/usr/share/java/slf4j-simple.jar"
	cmd := exec.Command("java", "-Xmx128m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jars,
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", filepath.Join(dir, "zoo.cfg"))
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start ZooKeeper (on Debian it needs the packages zookeeper and default-jre-headless): %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() //nolint:errcheck // It was killed, and says so.
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for deadline := time.Now().Add(patience); ; <-time.After(20 * time.Millisecond) {
		if reply, err := s.ask("srvr"); err == nil && strings.HasPrefix(reply, "Zookeeper version") {
			return s
		} else if time.Now().After(deadline) {
			t.Fatalf("ZooKeeper does not answer: %q, %v", reply, err)
		}
	}
}

func (s *server) url() string { return "zookeeper://" + s.addr }

// askWait bounds one question: a server that is not ready yet may never answer
// it, nor close the connection.
const askWait = 2 * time.Second

// ask sends one of the server's four-letter words.
func (s *server) ask(word string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.addr, askWait)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(askWait)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, word); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// ephemerals returns the paths of all nodes that belong to a session, as the
// server says.
func (s *server) ephemerals(t *testing.T) []string {
	t.Helper()
	answer, err := s.ask("dump")
	_, sessions, ok := strings.Cut(answer, "Sessions with Ephemerals")
	if err != nil || !ok {
		t.Fatalf("dump: %q, %v", answer, err)
	}
	sessions, _, _ = strings.Cut(sessions, "Connections dump")
	var paths []string
	for line := range strings.Lines(sessions) {
		if path := strings.TrimSpace(line); strings.HasPrefix(path, "/") {
			paths = append(paths, path)
		}
	}
	return paths
}

// open opens the server as the programs do.
func (s *server) open(t *testing.T) *stile.Locker {
	t.Helper()
	locks, err := stile.Open(t.Context(), s.url())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := locks.Close(); err != nil {
			t.Error(err)
		}
	})
	return locks
}

// build builds one of the examples and returns the program's path.
func build(t *testing.T, example string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), example)
	if out, err := exec.Command("go", "build", "-o", binary, "./"+example).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", example, err, out)
	}
	return binary
}

// A program is one run of an example. Its output is in files, which may be
// read while it runs.
type program struct {
	t           *testing.T
	cmd         *exec.Cmd
	out, errOut string
	done        bool
}

func start(t *testing.T, binary string, args ...string) *program {
	t.Helper()
	dir := t.TempDir()
	p := &program{t: t, cmd: exec.Command(binary, args...), out: filepath.Join(dir, "out"), errOut: filepath.Join(dir, "err")}
	out, err := os.Create(p.out)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	errOut, err := os.Create(p.errOut)
	if err != nil {
		t.Fatal(err)
	}
	defer errOut.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, errOut
	dieWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !p.done {
			p.cmd.Process.Kill()
			p.cmd.Wait() //nolint:errcheck // It was killed, and says so.
		}
	})
	return p
}

// status waits for the program's end and returns its exit status.
func (p *program) status() int {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	err := p.cmd.Wait()
	p.done = true
	if p.cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// works waits until the program holds the key.
func (p *program) works() {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !strings.HasPrefix(read(p.t, p.out), "working with token "); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("it does not work: %q", read(p.t, p.errOut))
		}
	}
}

// token is the fencing token that the program worked with.
func (p *program) token() uint64 {
	p.t.Helper()
	var token uint64
	if _, err := fmt.Sscanf(read(p.t, p.out), "working with token %d", &token); err != nil {
		p.t.Fatal(err)
	}
	return token
}
