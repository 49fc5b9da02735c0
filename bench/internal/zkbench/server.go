package zkbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startWait = 60 * time.Second // for the first answer of a server
	stopWait  = 10 * time.Second // for its end after SIGTERM
	askWait   = 10 * time.Second // for an answer to a word: a server that is not ready may never give one
	memory    = "/dev/shm"
)

var errInMemory = errors.New("the folder for temporary files is in memory")

// A server is the ZooKeeper server that all libraries use.
type server struct {
	addr  string
	about string // for people: version, and where its data are

	cmd   *exec.Cmd
	ended chan struct{} // closed when exit is set
	exit  error
	dir   string
}

// startServer starts a standalone server and waits until it answers.
func startServer(ctx context.Context, disk bool) (*server, error) {
	jars, err := classPath("libzookeeper-java", "zookeeper", "zookeeper-jute", "slf4j-simple")
	if err != nil {
		return nil, err
	}
	s := &server{}
	if s.dir, err = dataFolder(disk); err != nil {
		return nil, err
	}
	if err := s.start(ctx, jars); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err := s.greet(ctx, disk); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func dataFolder(disk bool) (string, error) {
	parent := memory
	if disk {
		parent = os.TempDir()
		if mem, err := inMemory(parent); err != nil {
			return "", err
		} else if mem {
			return "", fmt.Errorf("%w: %s; set TMPDIR to one on a disk", errInMemory, parent)
		}
	}
	dir, err := os.MkdirTemp(parent, "stile-bench-")
	if err != nil {
		return "", fmt.Errorf("make folder of server (-disk does without %s): %w", memory, err)
	}
	return dir, nil
}

func (s *server) start(ctx context.Context, jars string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	s.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	// The defaults that Debian's own file has, but for the limit of 60 connections of one address.
	config := strings.Join([]string{
		"tickTime=2000", "dataDir=" + s.dir, "clientPort=" + strconv.Itoa(port), "clientPortAddress=127.0.0.1",
		"maxClientCnxns=0", "admin.enableServer=false", "4lw.commands.whitelist=srvr,mntr", "",
	}, "\n")
	file := filepath.Join(s.dir, "zoo.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return fmt.Errorf("write configuration of server: %w", err)
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return fmt.Errorf("make log of server: %w", err)
	}
	defer log.Close() //nolint:errcheck // The server has its own.
	// It ends by SIGTERM in close, whatever becomes of ctx.
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), "java", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", jars, "org.apache.zookeeper.server.quorum.QuorumPeerMain", file)
	s.cmd.SysProcAttr = dieWithParent()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start ZooKeeper with java (Debian has it in package default-jdk-headless): %w", err)
	}
	s.ended = make(chan struct{})
	go func() {
		s.exit = s.cmd.Wait()
		close(s.ended)
	}()
	return nil
}

// greet waits for the server's first answer.
func (s *server) greet(ctx context.Context, disk bool) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for {
		answer, err := s.ask(ctx, "srvr")
		if version, ok := strings.CutPrefix(strings.TrimSpace(firstLine(answer)), "Zookeeper version: "); err == nil && ok {
			version, _, _ = strings.Cut(version, "-")
			where := "in memory"
			if disk {
				where = "on disk"
			}
			s.about = "ZooKeeper " + version + ", started for this run on the loopback interface, standalone, its data " + where
			return nil
		}
		timer := time.NewTimer(50 * time.Millisecond)
		select {
		case <-timer.C:
		case <-s.ended:
			return fmt.Errorf("start ZooKeeper: it ended at once: %w\n%s", s.exit, s.log())
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("connect to ZooKeeper at %s: answer %q, %w\n%s", s.addr, answer, err, s.log())
		}
	}
}

// log is the end of what the server said.
func (s *server) log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(text[max(0, len(text)-4000):])
}

// ask sends one of the server's four-letter words and returns the answer.
func (s *server) ask(ctx context.Context, word string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return "", fmt.Errorf("ask server: %w", err)
	}
	defer conn.Close() //nolint:errcheck // The server closes it.
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", fmt.Errorf("ask server: %w", err)
	}
	if _, err := conn.Write([]byte(word)); err != nil {
		return "", fmt.Errorf("ask server: %w", err)
	}
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(conn); err != nil {
		return "", fmt.Errorf("ask server: %w", err)
	}
	return answer.String(), nil
}

func (s *server) close() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end ZooKeeper: %w", err)
	}
	var err error
	select {
	case <-s.ended:
	case <-time.After(stopWait):
		err = s.cmd.Process.Kill()
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

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
