package redistest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"testing"
)

// A Server is one redis-server. Its methods may be called from any goroutine;
// those that start, end and freeze it from one at a time.
type Server struct {
	// Addr is where it serves: 127.0.0.1:PORT. It stays the same over restarts.
	Addr string
	// Port is the port in Addr.
	Port int
	// Socket is the path of its unix socket, which never asks for TLS.
	Socket string
	// TLS are the files for its clients; nil without the option [TLS].
	TLS *Certificates

	setup   setup
	process *process
	ports   []int // Port and, in a Cluster, that of the bus
}

// Start starts a standalone server without persistence, unless options say
// otherwise. It ends with the test.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s, err := start(options)
	if err != nil {
		t.Fatal(err)
	}
	s.endWith(t, "redis-server "+s.Addr)
	return s
}

// endWith ends the server with the test.
func (s *Server) endWith(t testing.TB, name string) {
	t.Helper()
	t.Cleanup(func() {
		s.process.showLog(t, name)
		if err := s.discard(); err != nil {
			t.Error(err)
		}
	})
}

// start starts a server on a free port, and on another one if somebody else
// took it first.
func start(options []Option) (*Server, error) {
	var err error
	for range 5 {
		var s *Server
		if s, err = create(options); err != nil {
			return nil, err
		}
		if err = s.Again(); err == nil {
			return s, nil
		}
		err = errors.Join(err, s.discard())
		if !errors.Is(err, errExited) {
			return nil, err
		}
	}
	return nil, err
}

// create makes all that a server needs and does not start it.
func create(options []Option) (*Server, error) {
	var s Server
	for _, option := range options {
		option(&s.setup)
	}
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	s.process = &process{dir: dir}
	s.Socket = s.process.socket()
	if s.Port, err = s.takePort(); err != nil {
		return nil, errors.Join(err, s.discard())
	}
	s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
	bus, err := s.takePort()
	if err != nil {
		return nil, errors.Join(err, s.discard())
	}
	lines := append(s.setup.lines(), "dir "+dir, "unixsocket "+s.Socket, "cluster-port "+strconv.Itoa(bus))
	if s.setup.tls {
		if s.TLS, err = newCertificates(dir); err != nil {
			return nil, errors.Join(err, s.discard())
		}
		lines = append(lines, "port 0", "tls-port "+strconv.Itoa(s.Port), "tls-auth-clients yes",
			"tls-ca-cert-file "+s.TLS.CA, "tls-cert-file "+s.TLS.server, "tls-key-file "+s.TLS.serverKey)
	} else {
		lines = append(lines, "port "+strconv.Itoa(s.Port))
	}
	conf, err := configFile(dir, lines)
	if err != nil {
		return nil, errors.Join(err, s.discard())
	}
	s.process.args = []string{conf}
	return &s, nil
}

func (s *Server) takePort() (int, error) {
	port, err := freePort()
	if err == nil {
		s.ports = append(s.ports, port)
	}
	return port, err
}

func (s *Server) busPort() int { return s.ports[1] }

func (s *Server) discard() error {
	err := s.process.discard()
	for _, port := range s.ports {
		givePortBack(port)
	}
	return err
}

// URL returns the store URL of the server, with a query of "name=value" pairs
// that are escaped here. With [TLS] it names the files, with [Password] the
// password.
func (s *Server) URL(query ...string) string {
	u := url.URL{Scheme: "redis", Host: s.Addr}
	if s.setup.password != "" {
		u.User = url.UserPassword("", s.setup.password)
	}
	if s.TLS != nil {
		u.Scheme = "rediss"
		query = append([]string{"ca=" + s.TLS.CA, "cert=" + s.TLS.Cert, "key=" + s.TLS.Key}, query...)
	}
	u.RawQuery = encodeQuery(query)
	return u.String()
}

// Dial connects to the server by its socket, as the default user.
func (s *Server) Dial() (*Conn, error) {
	conn, err := Dial("unix", s.Socket)
	if err != nil {
		return nil, err
	}
	if s.setup.password == "" {
		return conn, nil
	}
	if _, err := conn.Do("AUTH", s.setup.password); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// Do runs one command on a connection of its own. See [Conn.Do].
func (s *Server) Do(args ...string) (any, error) {
	conn, err := s.Dial()
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	value, err := conn.Do(args...)
	if err != nil {
		return nil, fmt.Errorf("redis %s: %w", args[0], err)
	}
	return value, nil
}

// Must runs one command that has to succeed.
func (s *Server) Must(t testing.TB, args ...string) any {
	t.Helper()
	value, err := s.Do(args...)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// Again starts a server that was ended, with the data that is on its disk, and
// returns when it serves.
func (s *Server) Again() error {
	if err := s.Launch(); err != nil {
		return err
	}
	return s.process.ready(func() bool {
		_, err := s.Do("PING")
		return err == nil
	})
}

// Launch is Again, but it returns as soon as the server answers anything, such
// as that it is loading its data.
func (s *Server) Launch() error {
	if err := s.process.launch(); err != nil {
		return err
	}
	return s.process.ready(func() bool {
		_, err := s.Do("PING")
		return err == nil || isReply(err)
	})
}

// Kill ends the server as a crash does.
func (s *Server) Kill() error { return s.process.end(os.Kill) }

// Restart kills the server and starts it again on what is on its disk: nothing,
// unless an option says otherwise.
func (s *Server) Restart() error {
	if err := s.Kill(); err != nil {
		return err
	}
	return s.Again()
}

// Freeze stops the process where it is, as a machine that hangs; its
// connections stay open.
func (s *Server) Freeze() error { return s.process.signal(stopSignal) }

// Thaw lets a frozen server run on.
func (s *Server) Thaw() error { return s.process.signal(continueSignal) }
