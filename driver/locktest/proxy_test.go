package locktest_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile/driver/locktest"
)

// An echo answers each line with itself and counts the lines.
type echo struct {
	listener net.Listener
	work     sync.WaitGroup
	lines    chan string
}

func startEcho(t *testing.T) *echo {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{listener: listener, lines: make(chan string, 100)}
	e.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			e.work.Go(func() {
				defer func() { _ = conn.Close() }()
				lines := bufio.NewReader(conn)
				for {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					e.lines <- line
					_, _ = io.WriteString(conn, line)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		e.work.Wait()
	})
	return e
}

// dialProxy connects through the proxy; the connection gives up after a while.
func dialProxy(t *testing.T, p *locktest.Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func say(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	if _, err := io.WriteString(conn, line); err != nil {
		t.Fatal(err)
	}
}

func wantLine(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got, err := bufio.NewReader(conn).ReadString('\n')
	if got != want || err != nil {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func wantEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	n, err := conn.Read(make([]byte, 100))
	if n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes, %v; want the end of the connection", n, err)
	}
}

func TestProxyLosesOneReply(t *testing.T) {
	locktest.CheckLeaks(t)
	e := startEcho(t)
	p := locktest.NewProxy(t, "tcp", e.listener.Addr().String())
	conn := dialProxy(t, p)
	say(t, conn, "one\n")
	wantLine(t, conn, "one\n")
	p.LoseReply()
	say(t, conn, "two\n")
	wantEnd(t, conn)
	<-e.lines
	if line := <-e.lines; line != "two\n" { // The command did arrive.
		t.Fatalf("the store got %q; want the command whose reply was lost", line)
	}
	again := dialProxy(t, p) // Only one reply is lost.
	say(t, again, "three\n")
	wantLine(t, again, "three\n")
}

func TestProxyCutsAndHeals(t *testing.T) {
	locktest.CheckLeaks(t)
	e := startEcho(t)
	p := locktest.NewProxy(t, "tcp", e.listener.Addr().String())
	conn := dialProxy(t, p)
	say(t, conn, "one\n")
	wantLine(t, conn, "one\n")
	p.Cut()
	wantEnd(t, conn)
	wantEnd(t, dialProxy(t, p))
	p.Heal()
	again := dialProxy(t, p)
	say(t, again, "two\n")
	wantLine(t, again, "two\n")
}

func TestProxySwallowsInABlackHole(t *testing.T) {
	locktest.CheckLeaks(t)
	e := startEcho(t)
	p := locktest.NewProxy(t, "tcp", e.listener.Addr().String())
	quiet, loud := dialProxy(t, p), dialProxy(t, p)
	for _, conn := range []net.Conn{quiet, loud} {
		say(t, conn, "one\n")
		wantLine(t, conn, "one\n")
		<-e.lines
	}
	p.BlackHole()
	say(t, loud, "lost\n")
	if err := loud.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := loud.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes, %v from a black hole; want silence", n, err)
	}
	if err := loud.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	p.Heal()
	wantEnd(t, loud)
	say(t, quiet, "two\n") // It lost nothing.
	wantLine(t, quiet, "two\n")
	if line := <-e.lines; line != "two\n" {
		t.Fatalf("the store got %q out of a black hole", line)
	}
}

// TestProxyLosesEndsInABlackHole: the store does not hear that its client has gone.
func TestProxyLosesEndsInABlackHole(t *testing.T) {
	locktest.CheckLeaks(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := locktest.NewProxy(t, "tcp", listener.Addr().String())
	client := dialProxy(t, p)
	store, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = store.Close(), listener.Close() })
	p.BlackHole()
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := store.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes, %v from a black hole; want silence", n, err)
	}
	if err := store.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	p.Heal()
	wantEnd(t, store)
}

func TestProxyEndsWithItsTest(t *testing.T) {
	locktest.CheckLeaks(t)
	e := startEcho(t)
	p := locktest.NewProxy(t, "tcp", e.listener.Addr().String())
	conn := dialProxy(t, p)
	p.BlackHole()
	say(t, conn, "lost\n")
}
