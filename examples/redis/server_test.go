package redis

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// A server is a redis-server of a test's own.
type server struct {
	addr string
}

// startServer starts a redis-server that keeps nothing on a free port. It ends
// with the test.
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
	cmd := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no")
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start redis-server (on Debian it is in the package redis-server): %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() //nolint:errcheck // It was killed, and says so.
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for deadline := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		if reply, err := s.ask("PING"); err == nil && reply == "+PONG" {
			return s
		} else if time.Now().After(deadline) {
			t.Fatalf("redis-server does not answer: %q, %v", reply, err)
		}
	}
}

func (s *server) url() string { return "redis://" + s.addr }

// ask sends one command, as words, and returns the first line of the reply; of
// a bulk reply the text.
func (s *server) ask(command ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	for i, word := range command {
		if strings.ContainsAny(word, " \r\n") {
			return "", fmt.Errorf("word %d has a space", i)
		}
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n", strings.Join(command, " ")); err != nil {
		return "", err
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	line = strings.TrimSpace(line)
	if err == nil && strings.HasPrefix(line, "$") && line != "$-1" {
		line, err = in.ReadString('\n')
		line = strings.TrimSpace(line)
	}
	return line, err
}

func (s *server) must(t *testing.T, command ...string) string {
	t.Helper()
	reply, err := s.ask(command...)
	if err != nil || strings.HasPrefix(reply, "-") {
		t.Fatalf("%v: %q, %v", command, reply, err)
	}
	return reply
}

// number is must for an integer reply.
func (s *server) number(t *testing.T, command ...string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimPrefix(s.must(t, command...), ":"))
	if err != nil {
		t.Fatal(err)
	}
	return n
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
