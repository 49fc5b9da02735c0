package redisbench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	startWait = 10 * time.Second // for the first answer of a server
	stopWait  = 5 * time.Second  // for its end after SIGTERM
)

// A server is the Redis server that all libraries use.
type server struct {
	addr  string
	admin *redis.Client
	about string // for people: version and persistence

	cmd   *exec.Cmd     // nil: somebody else's, which is never flushed
	ended chan struct{} // closed when exit is set
	exit  error
	dir   string
}

// connect uses the server at addr, or starts one if addr is empty.
func connect(ctx context.Context, addr string) (*server, error) {
	s := &server{addr: addr}
	if addr == "" {
		if err := s.start(ctx); err != nil {
			return nil, err
		}
	}
	s.admin = redis.NewClient(&redis.Options{Addr: s.addr, Protocol: 2, PoolSize: 2, MaxRetries: -1})
	if err := s.greet(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// own reports whether the server was started here, so that it may be flushed.
func (s *server) own() bool { return s.cmd != nil }

func (s *server) start(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "stile-bench-"); err != nil {
		return fmt.Errorf("make folder of server: %w", err)
	}
	s.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	// It ends by SIGTERM in close, whatever becomes of ctx.
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), "redis-server",
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", s.dir, "--loglevel", "warning")
	s.cmd.SysProcAttr = dieWithParent()
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start redis-server (Debian has it in package redis-server; --addr uses one that runs): %w", err), os.RemoveAll(s.dir))
	}
	s.ended = make(chan struct{})
	go func() {
		s.exit = s.cmd.Wait()
		close(s.ended)
	}()
	return nil
}

// greet waits for the server's first answer.
func (s *server) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for {
		info, err := s.admin.Info(ctx, "server").Result()
		if err == nil {
			s.about = "Redis " + field(info, "redis_version") + " at " + s.addr + ", persistence as its owner set it"
			if s.own() {
				s.about = "Redis " + field(info, "redis_version") + ", started for this run on the loopback interface, no persistence"
			}
			return nil
		}
		timer := time.NewTimer(20 * time.Millisecond)
		select {
		case <-timer.C:
		case <-s.ended:
			return fmt.Errorf("start redis-server: it ended at once: %w", errors.Join(s.exit, err))
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("connect to Redis at %s: %w", s.addr, err)
		}
	}
}

// clear empties a server of our own, so that no run pays for the one before.
func (s *server) clear(ctx context.Context) error {
	if !s.own() {
		return nil
	}
	if err := s.admin.FlushAll(ctx).Err(); err != nil {
		return fmt.Errorf("flush server: %w", err)
	}
	return nil
}

func (s *server) close() error {
	err := s.admin.Close()
	if !s.own() {
		return err
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end redis-server: %w", err)
	}
	select {
	case <-s.ended:
	case <-time.After(stopWait):
		err = errors.Join(err, s.cmd.Process.Kill())
		<-s.ended
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find free port: %w", err)
	}
	defer l.Close() //nolint:errcheck // Nobody has connected.
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("find free port: the listener has address %v", l.Addr())
	}
	return addr.Port, nil
}

// field returns the value of a line `name:value` of INFO.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
