package zktest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Tick is the servers' tickTime. A session may live for 2 ticks at least.
const Tick = 100 * time.Millisecond

// A Server is one ZooKeeper process. Its methods may be called from any
// goroutine; those that start, end and freeze it from one at a time.
type Server struct {
	// Addr is where it serves: 127.0.0.1:PORT. It stays the same over restarts.
	Addr string

	process *process
	ports   []int
}

// Start starts a server that is alone. It ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := startAlone()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.process.showLog(t, "zookeeper "+s.Addr)
		if err := s.discard(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// startAlone starts a server on a free port, and on another one if somebody else
// took it first.
func startAlone() (*Server, error) {
	var err error
	for range 3 {
		var s *Server
		if s, err = newServer(); err != nil {
			return nil, err
		}
		if err = s.configure(); err == nil {
			if err = s.Again(); err == nil {
				return s, nil
			}
		}
		if err = errors.Join(err, s.discard()); !errors.Is(err, errExited) {
			return nil, err
		}
	}
	return nil, err
}

// newServer makes all that a server needs but its configuration.
func newServer() (*Server, error) {
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	s := &Server{process: &process{dir: dir}}
	for range 3 { // for clients, and to follow and to elect
		port, err := freePort()
		if err != nil {
			return nil, errors.Join(err, s.discard())
		}
		s.ports = append(s.ports, port)
	}
	s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.ports[0]))
	return s, nil
}

// configure writes the configuration, with more lines at its end.
func (s *Server) configure(more ...string) error {
	lines := append([]string{
		"tickTime=" + strconv.FormatInt(Tick.Milliseconds(), 10), "initLimit=100", "syncLimit=30",
		"dataDir=" + filepath.Join(s.process.dir, "data"), "clientPort=" + strconv.Itoa(s.ports[0]), "clientPortAddress=127.0.0.1",
		"minSessionTimeout=200", "maxSessionTimeout=2147483647", "maxClientCnxns=0", "admin.enableServer=false",
		"4lw.commands.whitelist=*", "preAllocSize=1024", "snapCount=100000", "",
	}, more...)
	path := filepath.Join(s.process.dir, "zoo.cfg")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("configure zookeeper: %w", err)
	}
	// The first compiler alone, and one thread for garbage: a start takes a second less.
	s.process.args = []string{
		"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.net.preferIPv4Stack=true",
		"-Dzookeeper.electionPortBindRetry=0", "-Dznode.container.checkIntervalMs=500",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		"-cp", Jar + ":" + logJar + ":" + tlsJars, "org.apache.zookeeper.server.quorum.QuorumPeerMain", path,
	}
	return nil
}

// Again starts a server that was ended, with the data that it has, and returns
// when it serves.
func (s *Server) Again() error {
	if err := s.process.launch(); err != nil {
		return err
	}
	return s.process.ready(func() bool {
		text, err := s.Ask("srvr")
		return err == nil && strings.Contains(text, "Mode: ")
	})
}

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() error { return s.process.kill() }

// Freeze stops the process where it is, as a machine that hangs; its port stays
// open. Thaw lets it run on.
func (s *Server) Freeze() error { return s.process.signal(stopSignal) }

// Thaw ends a Freeze.
func (s *Server) Thaw() error { return s.process.signal(continueSignal) }

func (s *Server) discard() error {
	err := s.process.discard()
	for _, port := range s.ports {
		givePortBack(port)
	}
	return err
}

// Ask sends one of ZooKeeper's four-letter words and returns the answer.
func (s *Server) Ask(word string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second) //nolint:noctx // It has a limit.
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte(word)); err != nil {
		return "", err
	}
	text, err := io.ReadAll(conn)
	return string(text), err
}

// Mode is leader, follower or standalone; empty if the server does not serve.
func (s *Server) Mode() string {
	text, err := s.Ask("srvr")
	if err != nil {
		return ""
	}
	_, mode, _ := strings.Cut(text, "Mode: ")
	mode, _, _ = strings.Cut(mode, "\n")
	return mode
}
