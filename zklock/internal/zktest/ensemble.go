package zktest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
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

func startEnsemble() (*Ensemble, error) {
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
	errs := make([]error, len(e.Servers))
	var all sync.WaitGroup
	for i, s := range e.Servers {
		all.Go(func() {
			data := filepath.Join(s.process.dir, "data")
			errs[i] = errors.Join(os.MkdirAll(data, 0o700), os.WriteFile(filepath.Join(data, "myid"), []byte(strconv.Itoa(i+1)), 0o600), s.configure(lines...))
			if errs[i] == nil {
				errs[i] = s.Again()
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, e.discard())
	}
	return e, nil
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
