package zktest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile/driver/locktest"
)

// An Ensemble is three servers, of which two make a majority.
type Ensemble struct {
	Servers []*Server
}

// StartEnsemble starts three servers. They end with the test.
func StartEnsemble(t testing.TB) *Ensemble {
	t.Helper()
	e, err := startEnsemble()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, s := range e.Servers {
			s.process.showLog(t, "zookeeper "+s.Addr)
		}
		if err := e.discard(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// StartCuttable is StartEnsemble, and cut parts the first server, which leads or
// follows, from the others, while its clients reach it still. Who leads or follows
// it finds that out in 3 s, and the first one itself in 20.
func StartCuttable(t testing.TB, leads bool) (e *Ensemble, cut func()) {
	t.Helper()
	var proxies []*locktest.Proxy
	l := launching{
		first: []string{"syncLimit=200"},
		detour: func(from, to, port int) int {
			if isFollowing := from == 0; isFollowing == leads || from != 0 && to != 0 {
				return port
			}
			p := locktest.NewProxy(t, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			proxies = append(proxies, p)
			return portOf(t, p.Addr())
		},
		order: [][]int{{1, 2}, {0}},
	}
	if leads {
		l.order = [][]int{{0, 1}, {2}}
	}
	e, err := l.launch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.discard(); err != nil {
			t.Error(err)
		}
	})
	return e, func() {
		for _, p := range proxies {
			p.BlackHole()
		}
	}
}

func portOf(t testing.TB, address string) int {
	t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return addr.Port
}

func startEnsemble() (*Ensemble, error) {
	l := launching{detour: func(_, _, port int) int { return port }, order: [][]int{{0, 1, 2}}}
	return l.launch()
}

// launching is how an ensemble is started.
type launching struct {
	// detour is the port by which a server follows another one.
	detour func(from, to, port int) int
	// first are more lines for the first server's configuration.
	first []string
	// order is who starts together. Of those who start first, the first one leads.
	order [][]int
}

func (l *launching) launch() (*Ensemble, error) {
	e := &Ensemble{}
	for range 3 {
		s, err := newServer()
		if err != nil {
			return nil, errors.Join(err, e.discard())
		}
		e.Servers = append(e.Servers, s)
	}
	var err error
	for i, s := range e.Servers {
		err = errors.Join(err, l.configure(e, i, s))
	}
	for _, servers := range l.order {
		if err == nil {
			err = e.again(servers...)
		}
	}
	if err != nil {
		return nil, errors.Join(err, e.discard())
	}
	return e, nil
}

func (l *launching) configure(e *Ensemble, from int, s *Server) error {
	var lines []string
	for to, other := range e.Servers {
		port := other.ports[1]
		if from != to {
			port = l.detour(from, to, port)
		}
		lines = append(lines, fmt.Sprintf("server.%d=127.0.0.1:%d:%d", e.id(to), port, other.ports[2]))
	}
	if from == 0 {
		lines = append(lines, l.first...)
	}
	data := filepath.Join(s.process.dir, "data")
	id := []byte(strconv.Itoa(e.id(from)))
	return errors.Join(os.MkdirAll(data, 0o700), os.WriteFile(filepath.Join(data, "myid"), id, 0o600), s.configure(lines...))
}

// id is a server's number. Of those whose data are the same, the highest leads.
func (e *Ensemble) id(server int) int { return len(e.Servers) - server }

// again starts some of the servers at once, on the data that they have.
func (e *Ensemble) again(servers ...int) error {
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for at, i := range servers {
		all.Go(func() { errs[at] = e.Servers[i].Again() })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (e *Ensemble) discard() error {
	var err error
	for _, s := range e.Servers {
		err = errors.Join(err, s.discard())
	}
	return err
}

// Addrs are where the servers serve.
func (e *Ensemble) Addrs() []string {
	var addrs []string
	for _, s := range e.Servers {
		addrs = append(addrs, s.Addr)
	}
	return addrs
}

// Leader waits until there is one, and returns it and the followers.
func (e *Ensemble) Leader(t testing.TB) (leader *Server, followers []*Server) {
	t.Helper()
	for deadline := time.Now().Add(startPatience); ; {
		leader, followers = nil, nil
		for _, s := range e.Servers {
			switch s.Mode() {
			case "leader":
				leader = s
			case "follower":
				followers = append(followers, s)
			}
		}
		if leader != nil && len(followers) > 0 {
			return leader, followers
		}
		if time.Now().After(deadline) {
			t.Fatal("the ensemble has no leader")
		}
		<-time.After(50 * time.Millisecond)
	}
}

// Restart ends all servers at once and starts them again on their data.
func (e *Ensemble) Restart() error {
	var err error
	for _, s := range e.Servers {
		err = errors.Join(err, s.Kill())
	}
	return errors.Join(err, e.again(0, 1, 2))
}
