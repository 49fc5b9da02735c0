package zk

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stilelock/stile/zklock/internal/zktest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := zktest.StopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var anyone = []ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}

const patience = 20 * time.Second

// open opens a session that the test closes.
func openTest(t *testing.T, config Config) *Session {
	t.Helper()
	if config.Timeout == 0 {
		config.Timeout = patience // Only tests of what a silence does ask for less.
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := Open(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Drop)
	return s
}

// do sends one request and waits.
func do(t *testing.T, s *Session, r Request) (*Reply, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return s.Start(r)[0].Wait(ctx)
}

func must(t *testing.T, s *Session, r Request) *Reply {
	t.Helper()
	reply, err := do(t, s, r)
	if err != nil {
		t.Fatalf("%T: %v", r, err)
	}
	return reply
}

var roots atomic.Int64

// root makes a node of the test's own.
func root(t *testing.T, s *Session) string {
	t.Helper()
	path := fmt.Sprintf("/%s-%d", strings.ReplaceAll(t.Name(), "/", "-"), roots.Add(1))
	must(t, s, &Create{Path: path, ACL: anyone})
	return path
}

func hears(t *testing.T, w *Watch, want EventType) {
	t.Helper()
	select {
	case got := <-w.C():
		if got != want {
			t.Fatalf("the watch heard %d, want %d", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("the watch did not hear %d", want)
	}
}

func within(t *testing.T, what string, limit time.Duration, done <-chan struct{}) time.Duration {
	t.Helper()
	begun := time.Now()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("%s: not within %v", what, limit)
	}
	return time.Since(begun)
}

// A gate stands before a server and can be shut.
type gate struct {
	addr   string
	server string
	mu     sync.Mutex
	how    how
	conns  map[net.Conn]bool
}

type how int

const (
	opened   how = iota
	cut          // connections end, and no new ones are taken
	swallows     // everything is taken and lost
	deafens      // what the client says goes through; what the server says is lost
)

func newGate(t *testing.T, server string) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{addr: listener.Addr().String(), server: server, conns: map[net.Conn]bool{}}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			if g.is() == cut {
				_ = client.Close()
				continue
			}
			behind, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			g.mu.Lock()
			g.conns[client], g.conns[behind] = true, true
			g.mu.Unlock()
			work.Go(func() { g.carry(client, behind, false) })
			work.Go(func() { g.carry(behind, client, true) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		g.set(cut)
		work.Wait()
	})
	return g
}

func (g *gate) is() how {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.how
}

func (g *gate) set(how how) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.how = how
	if how == cut {
		for conn := range g.conns {
			_ = conn.Close()
		}
		clear(g.conns)
	}
}

func (g *gate) carry(from, to net.Conn, answers bool) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if how := g.is(); how == swallows || how == deafens && answers {
			_, _ = io.Copy(io.Discard, from) // What is lost is lost on this connection for ever.
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
