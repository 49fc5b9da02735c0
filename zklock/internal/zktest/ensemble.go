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

// StartCuttable is StartEnsemble, and cut parts the first server, a follower, from
// the others, while its clients reach it still.
func StartCuttable(t testing.TB) (e *Ensemble, cut func()) {
	t.Helper()
	var proxies []*locktest.Proxy
	e, err := launchEnsemble(func(port int) (int, error) {
		p := locktest.NewProxy(t, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		proxies = append(proxies, p)
		_, text, err := net.SplitHostPort(p.Addr())
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(text)
	})
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

func startEnsemble() (*Ensemble, error) { return launchEnsemble(nil) }

// launchEnsemble starts three servers. With a detour, the first one starts when the
// others have a leader, and reaches them by the ports that detour returns.
func launchEnsemble(detour func(port int) (int, error)) (*Ensemble, error) {
	e := &Ensemble{}
	var lines []string
	for i := range 3 {
		s, err := newServer()
		if err != nil {
			return nil, errors.Join(err, e.discard())
		}
		e.Servers = append(e.Servers, s)
		lines = append(lines, fmt.Sprintf("server.%d=127.0.0.1:%d:%d", i+1, s.ports[1], s.ports[2]))
	}
	begin := 0
	if detour != nil {
		begin = 1
		lines = append(lines, "syncLimit=100") // A follower goes on for so long without its leader.
	}
	err := e.launch(begin, len(e.Servers), lines)
	if err == nil && detour != nil {
		for i, s := range e.Servers[1:] {
			port, failed := detour(s.ports[1])
			err = errors.Join(err, failed)
			lines[i+1] = fmt.Sprintf("server.%d=127.0.0.1:%d:%d", i+2, port, s.ports[2])
		}
		if err == nil {
			err = e.launch(0, 1, lines)
		}
	}
	if err != nil {
		return nil, errors.Join(err, e.discard())
	}
	return e, nil
}

// launch starts some of the servers at once.
func (e *Ensemble) launch(begin, end int, lines []string) error {
	errs := make([]error, len(e.Servers))
	var all sync.WaitGroup
	for i := begin; i < end; i++ {
		s := e.Servers[i]
		all.Go(func() {
			data := filepath.Join(s.process.dir, "data")
			errs[i] = errors.Join(os.MkdirAll(data, 0o700), os.WriteFile(filepath.Join(data, "myid"), []byte(strconv.Itoa(i+1)), 0o600), s.configure(lines...))
			if errs[i] == nil {
				errs[i] = s.Again()
			}
		})
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
	errs := make([]error, len(e.Servers))
	for i, s := range e.Servers {
		errs[i] = s.Kill()
	}
	var all sync.WaitGroup
	for i, s := range e.Servers {
		all.Go(func() { errs[i] = errors.Join(errs[i], s.Again()) })
	}
	all.Wait()
	return errors.Join(errs...)
}
