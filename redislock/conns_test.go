package redislock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// A swallower is a way to a server. It can stop carrying anything on the
// connections that it has, without a sign; new ones work.
type swallower struct {
	listener net.Listener
	work     sync.WaitGroup

	mu     sync.Mutex
	conns  []*swallowed
	dialed int
}

type swallowed struct {
	client, server net.Conn
	mu             sync.Mutex
	silent         bool
}

func newSwallower(t *testing.T, server string) *swallower {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &swallower{listener: listener}
	w.work.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			conn, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			it := &swallowed{client: client, server: conn}
			w.mu.Lock()
			w.conns = append(w.conns, it)
			w.dialed++
			w.mu.Unlock()
			w.work.Go(func() { it.carry(client, conn) })
			w.work.Go(func() { it.carry(conn, client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		w.mu.Lock()
		for _, it := range w.conns {
			_, _ = it.client.Close(), it.server.Close()
		}
		w.mu.Unlock()
		w.work.Wait()
	})
	return w
}

func (s *swallowed) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		s.mu.Lock()
		silent := s.silent
		s.mu.Unlock()
		if silent {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// swallow silences the connections that are there.
func (w *swallower) swallow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range w.conns {
		it.mu.Lock()
		it.silent = true
		it.mu.Unlock()
	}
}

func (w *swallower) connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dialed
}

// awaitEars waits until the driver hears of grants and news.
func awaitEars(t *testing.T, d *Driver) {
	t.Helper()
	keys, err := d.keys("k")
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); ; {
		if _, open := d.ears.address(keys); open {
			return
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatal("the driver does not hear anything")
		}
		<-time.After(time.Millisecond)
	}
}

// through is the URL of a server by the swallower.
func (w *swallower) through(t *testing.T, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = w.listener.Addr().String()
	return u.String()
}

// TestLeaseOutlivesASilentConnection: the connection that a lease is renewed
// over goes silent, and the lease is renewed over another one in time.
func TestLeaseOutlivesASilentConnection(t *testing.T) {
	t.Parallel()
	for _, options := range [][]redistest.Option{nil, {redistest.TLS()}} {
		for _, ttl := range []time.Duration{time.Second, 3 * time.Second} {
			t.Run(ttl.String(), func(t *testing.T) {
				t.Parallel()
				s := redistest.Start(t, options...)
				redistest.Hurry(t, ttl, func(ttl time.Duration) error { return renewPast(t, s, ttl) })
			})
		}
	}
}

// renewPast holds a lease whose connection goes silent, for twice its TTL.
func renewPast(t *testing.T, s *redistest.Server, ttl time.Duration) error {
	t.Helper()
	way := newSwallower(t, s.Addr)
	d := openTest(t, way.through(t, s.URL()))
	locks := stile.New(d, nil)
	defer locks.Close()
	lease, err := locks.Acquire(t.Context(), "k", &stile.Options{TTL: ttl})
	if err != nil {
		return err
	}
	awaitEars(t, d) // That is a connection too.
	before := way.connections()
	way.swallow()
	select {
	case <-lease.Done():
		return lease.Err()
	case <-time.After(2 * ttl):
	}
	if after := way.connections(); after != before+1 {
		return fmt.Errorf("there were %d connections before and %d in all; want one more", before, after)
	}
	return lease.Release(t.Context())
}

// TestSlowAnswersKeepTheirConnection: commands that end before their answer do
// not cost a connection that brings answers, only late, and that others use.
func TestSlowAnswersKeepTheirConnection(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	way := newSwallower(t, s.Addr)
	d := openTest(t, way.through(t, s.URL()))
	handOver(t, d)
	share(t, s, d)
	before := way.connections()
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		_, err := d.Acquire(ctx, testRequest("k2", time.Second))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	// The server answers nothing for a while that is shorter than our patience.
	s.Must(t, "CLIENT", "PAUSE", "200", "ALL")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := d.Acquire(ctx, testRequest("k2", time.Second)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the server is paused, and the error is %v", err)
	}
	handOver(t, d)
	if after := way.connections(); after != before {
		t.Errorf("there were %d connections, and now there are %d", before, after)
	}
}

// share has two commands under way at once, after which no command reads its
// answer itself.
func share(t *testing.T, s *redistest.Server, d driver.Driver) {
	t.Helper()
	s.Must(t, "CLIENT", "PAUSE", "50", "ALL")
	var both sync.WaitGroup
	for _, key := range []string{"one", "other"} {
		both.Go(func() {
			if _, err := d.Acquire(t.Context(), testRequest(key, time.Second)); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
}

// TestLoneCommandCostsItsOwnConnectionAtMost: the same of a command that is alone
// and reads its answer itself. The next one works at once.
func TestLoneCommandCostsItsOwnConnectionAtMost(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	way := newSwallower(t, s.Addr)
	d := openTest(t, way.through(t, s.URL()))
	handOver(t, d)
	before := way.connections()
	s.Must(t, "CLIENT", "PAUSE", "200", "ALL")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := d.Acquire(ctx, testRequest("k2", time.Second)); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, driver.ErrAmbiguous) {
		t.Fatalf("the server is paused, and the error is %v", err)
	}
	handOver(t, d)
	if after := way.connections(); after > before+1 {
		t.Errorf("there were %d connections, and now there are %d", before, after)
	}
}

// TestCancelIsHeardOnASilentConnection: a context with a deadline far away that is
// cancelled ends the call.
func TestCancelIsHeardOnASilentConnection(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	way := newSwallower(t, s.Addr)
	d := openTest(t, way.through(t, s.URL()))
	way.swallow()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	time.AfterFunc(50*time.Millisecond, cancel)
	begin := time.Now()
	_, err := d.Acquire(ctx, testRequest("k", time.Second))
	if took := time.Since(begin); !errors.Is(err, context.Canceled) || !errors.Is(err, driver.ErrAmbiguous) || took > time.Second {
		t.Errorf("after %v: %v", took, err)
	}
}

// TestSuspect pins which connections are closed.
func TestSuspect(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	all := newConns()
	defer all.cut()
	dial := func() *conn {
		it, err := all.dial(t.Context(), s.Addr, &net.Dialer{Timeout: dialLimit}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return it.(*conn)
	}
	talk := func(it *conn) {
		if _, err := it.Write([]byte("PING\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	idle, answered, owing, late := dial(), dial(), dial(), dial()
	buffer := make([]byte, 16)
	for _, it := range []*conn{idle, answered} {
		talk(it)
		if _, err := it.Read(buffer); err != nil {
			t.Fatal(err)
		}
	}
	talk(owing)
	<-time.After(50 * time.Millisecond)
	talk(owing) // A second command does not make it younger.
	talk(late)
	all.suspect(40 * time.Millisecond)
	for name, it := range map[string]*conn{"idle": idle, "answered": answered, "late": late, "owing": owing} {
		_, err := it.Write([]byte("PING\r\n"))
		if closed := errors.Is(err, net.ErrClosed); closed != (it == owing) {
			t.Errorf("%s: closed %v, %v", name, closed, err)
		}
	}
	all.cut()
	if _, err := late.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after cut: %v", err)
	}
	if _, err := all.dial(t.Context(), s.Addr, &net.Dialer{Timeout: dialLimit}, nil); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("dial after cut: %v", err)
	}
}
