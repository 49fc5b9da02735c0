package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A redisServer is a redis-server of a test's own.
type redisServer struct {
	t    *testing.T
	addr string
	cmd  *exec.Cmd
}

// startRedis starts a redis-server on a free port, which ends with the test.
func startRedis(t *testing.T, options ...string) *redisServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &redisServer{t: t, addr: listener.Addr().String()}
	listener.Close()
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no", "--logfile", filepath.Join(t.TempDir(), "log")}
	s.cmd = exec.Command("redis-server", append(args, options...)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start redis-server (on Debian it is in the package redis-server): %v", err)
	}
	t.Cleanup(s.kill)
	eventually(t, "redis-server to answer", func() bool {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return s
}

func (s *redisServer) kill() {
	s.cmd.Process.Kill()
	_ = s.cmd.Wait() // It was killed, and says so.
}

func (s *redisServer) url() string { return "redis://" + s.addr }

// ask sends one command, as words, and returns the reply's first line.
func (s *redisServer) ask(command string) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(conn, "%s\r\n", command)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		s.t.Fatalf("%s: %v", command, err)
	}
	return strings.TrimSpace(line)
}

func (h *home) exists(name string) bool {
	_, err := os.Stat(h.path(name))
	return err == nil
}

// Eight processes, ten rounds each, over Redis: no increment is lost.
func TestCountOverRedis(t *testing.T) {
	const workers, rounds = 8, 10
	h := newHome(t)
	server := startRedis(t)
	if status := h.stile("run", "--store", server.url(), "setup", "--", "sh", "-c", "echo 0 >f; : >log").run(); status != 0 {
		t.Fatalf("setup: exit status %d", status)
	}
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			for range rounds {
				p := h.stile("run", "--store", server.url(), "counter", "--", "sh", "-c", increment)
				if status := p.run(); status != 0 {
					t.Errorf("exit status %d, stderr %q", status, p.stderr.String())
				}
			}
		})
	}
	done.Wait()
	if got, want := strings.TrimSpace(h.read("f")), fmt.Sprint(workers*rounds); got != want {
		t.Errorf("the file says %s, want %s", got, want)
	}
	last := ""
	for line := range strings.Lines(h.read("log")) {
		token, _, _ := strings.Cut(line, " ")
		if len(token) < len(last) || len(token) == len(last) && token <= last {
			t.Errorf("token %s after %s", token, last)
		}
		last = token
	}
	if got := server.ask("EXISTS lock:counter"); got != ":0" {
		t.Errorf("the lock's key is still there: %s", got)
	}
}

// What an operator does at three in the morning, over Redis.
func TestShowAndBreakOverRedis(t *testing.T) {
	h := newHome(t)
	server := startRedis(t)
	holder := h.stile("run", "--store", server.url(), "--owner", "the backup", "k", "--", "sh", "-c", "echo >working; exec sleep 1h").start()
	eventually(t, "the command to work", func() bool { return h.exists("working") })
	waiter := h.stile("run", "--store", server.url(), "--owner", "the next", "k", "--", "true").start()
	var show string
	eventually(t, "the next to stand in line", func() bool {
		p := h.stile("show", "--store", server.url(), "k")
		if status := p.run(); status != 0 {
			t.Fatalf("show: exit status %d, stderr %q", status, p.stderr.String())
		}
		show = p.stdout.String()
		return strings.Contains(show, "the next")
	})
	if !strings.Contains(show, "the backup") {
		t.Errorf("show says\n%s", show)
	}
	list := h.stile("ls", "--store", server.url())
	if status := list.run(); status != 0 || !strings.Contains(list.stdout.String(), "the backup") {
		t.Errorf("ls: exit status %d, prints %q", status, list.stdout.String())
	}
	busy := h.stile("run", "--store", server.url(), "--wait", "0", "k", "--", "true")
	busy.fails(75, "held by the backup since ")
	id := regexp.MustCompile(`lease ([0-9a-f]{32})`).FindStringSubmatch(show)
	if id == nil {
		t.Fatalf("show names no lease:\n%s", show)
	}
	if status := h.stile("break", "--store", server.url(), "k", id[1]).run(); status != 0 {
		t.Errorf("break: exit status %d", status)
	}
	if status := holder.wait(); status != 71 {
		t.Errorf("the holder: exit status %d, want 71; stderr %q", status, holder.stderr.String())
	}
	if status := waiter.wait(); status != 0 {
		t.Errorf("the next: exit status %d, stderr %q", status, waiter.stderr.String())
	}
}

// A program that uses SET NX PX holds the key: the command shows it, and says
// no, until the key is deleted.
func TestForeignHolderOverRedis(t *testing.T) {
	h := newHome(t)
	server := startRedis(t)
	if got := server.ask("SET lock:k hunter2 NX PX 60000"); got != "+OK" {
		t.Fatal(got)
	}
	h.stile("run", "--store", server.url(), "--wait", "0", "k", "--", "true").fails(75, "held by a program that does not use stile, until ")
	show := h.stile("show", "--store", server.url(), "k")
	if status := show.run(); status != 0 || !strings.Contains(show.stdout.String(), "does not use stile") || strings.Contains(show.stdout.String(), "hunter2") {
		t.Errorf("show: exit status %d, prints %q", status, show.stdout.String())
	}
	if got := server.ask("DEL lock:k"); got != ":1" {
		t.Fatal(got)
	}
	if status := h.stile("run", "--store", server.url(), "--wait", "0", "k", "--", "true").run(); status != 0 {
		t.Errorf("after the key was deleted: exit status %d", status)
	}
}

// Redis goes away while a command works: the command is ended before its lease
// runs out, and the next call says that the store is unavailable.
func TestRedisGoesAway(t *testing.T) {
	h := newHome(t)
	server := startRedis(t)
	const ttl = 2 * time.Second
	const beat = `trap "" TERM; while :; do date +%s%N >>beats; sleep 0.01; done`
	p := h.stile("run", "--store", server.url(), "--ttl", ttl.String(), "--kill-after", "300ms", "k", "--", "sh", "-c", beat).start()
	eventually(t, "the command to work", func() bool { return h.exists("beats") })
	goneAt := time.Now()
	server.kill()
	if status := p.wait(); status != 71 || !strings.Contains(p.stderr.String(), "lost") {
		t.Errorf("exit status %d, stderr %q; want 71", status, p.stderr.String())
	}
	beats := times(t, h.path("beats"))
	if worked := time.Unix(0, beats[len(beats)-1]).Sub(goneAt); worked > ttl {
		t.Errorf("the command worked for %v after Redis had gone, though its lease lives %v", worked, ttl)
	}
	h.stile("run", "--store", server.url(), "--wait", "1s", "k", "--", "true").fails(69, "")
}

// A wrong password is told apart from a busy key, and is not printed.
func TestWrongPasswordOfRedis(t *testing.T) {
	h := newHome(t)
	server := startRedis(t, "--requirepass", "swordfish")
	for _, user := range []string{"", ":hunter2@", "somebody:hunter2@"} {
		p := h.stile("run", "--store", "redis://"+user+server.addr, "k", "--", "touch", "ran")
		p.fails(69, "password")
		if strings.Contains(p.stderr.String(), "hunter2") {
			t.Errorf("a password on stderr: %q", p.stderr.String())
		}
	}
	if h.exists("ran") {
		t.Error("a command was run without a lock")
	}
	if status := h.stile("run", "--store", "redis://:swordfish@"+server.addr, "k", "--", "true").run(); status != 0 {
		t.Errorf("with the right password: exit status %d", status)
	}
}
