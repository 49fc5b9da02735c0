package locktest_test

import (
	"encoding/json"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

// A message is what a client sends, one JSON value each.
type message struct {
	// Op is acquire, ping, cancel, renew, release, break, list, watch or bye.
	Op      string
	Client  string
	Request request
	Hold    driver.Hold
	TTL     time.Duration
	How     driver.BreakHow
	Prefix  string
}

// A request is a driver.Request less what JSON cannot carry.
type request struct {
	driver.Request
	Now *struct{} `json:",omitempty"`
}

// A reply answers a message.
type reply struct {
	// Status is empty for a command that is done; else waiting, withdrawn,
	// nudge, or the name of an error.
	Status string
	Token  uint64
	Busy   *driver.BusyError
	Limit  *driver.LimitError
	States []driver.State
}

// replyOf turns an error of the state machine into a reply.
func replyOf(err error) reply {
	var r reply
	switch {
	case err == nil:
	case errors.As(err, &r.Busy), errors.As(err, &r.Limit):
		r.Status = "refused"
	default:
		r.Status = "lost"
	}
	return r
}

// err turns a reply into the error that a driver returns.
func (r *reply) err() error {
	switch {
	case r.Status == "":
		return nil
	case r.Busy != nil:
		return r.Busy
	case r.Limit != nil:
		return r.Limit
	default:
		return driver.ErrLost
	}
}

// A server is a store behind a port.
type server struct {
	store   *store
	address string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]string // and the client's name, once it is known
	work     sync.WaitGroup
}

// startServer starts a server that ends with the test.
func startServer(t testing.TB, s *store) *server {
	t.Helper()
	srv := &server{store: s, address: "127.0.0.1:0", conns: make(map[net.Conn]string)}
	if err := srv.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		srv.stop()
		s.stop()
	})
	return srv
}

func (s *server) start() error {
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener, s.address = listener, listener.Addr().String()
	s.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = ""
			s.mu.Unlock()
			s.work.Go(func() { s.serve(conn) })
		}
	})
	return nil
}

// stop closes everything and returns when all is quiet.
func (s *server) stop() {
	s.mu.Lock()
	_ = s.listener.Close()
	s.mu.Unlock()
	s.killConnections("")
	s.work.Wait()
}

// killConnections closes the connections of a client, or all.
func (s *server) killConnections(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn, owner := range s.conns {
		if client == "" || owner == client {
			_ = conn.Close()
		}
	}
}

// restart stops the server and starts it again on its data.
func (s *server) restart() error {
	s.stop()
	if s.store.has("forgets on restart") {
		s.store.forgetAll()
	}
	return s.start()
}

// killSession ends what the server knows of a client.
func (s *server) killSession(client string) {
	s.killConnections(client)
	if s.store.has("sessions die by half") {
		s.store.forgetAll()
	}
}

// serve answers one connection until it ends.
func (s *server) serve(conn net.Conn) {
	messages := make(chan *message)
	ended := make(chan struct{})
	s.work.Go(func() {
		defer close(messages)
		decoder := json.NewDecoder(conn)
		for {
			m := new(message)
			if err := decoder.Decode(m); err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = m.Client
			s.mu.Unlock()
			select {
			case messages <- m:
			case <-ended:
				return
			}
		}
	})
	defer func() {
		close(ended)
		_ = conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	answer := json.NewEncoder(conn)
	for m := range messages {
		switch m.Op {
		case "acquire":
			s.acquire(m, messages, answer)
			return // One attempt, one connection.
		case "watch":
			s.watch(m, messages, answer)
			return
		default:
			_ = answer.Encode(s.command(m)) // The client may have gone.
		}
	}
}

func (s *server) command(m *message) reply {
	switch m.Op {
	case "renew":
		return s.store.renew(m)
	case "release":
		return s.store.release(m)
	case "break":
		return s.store.breakLease(m)
	case "list":
		return reply{States: s.store.list(m.Prefix)}
	case "bye":
		if s.store.has("forgets on close") {
			s.store.forgetAll()
		}
		if s.store.has("close closes all") {
			s.killConnections("")
		}
	}
	return reply{}
}

// acquire serves an attempt: until its grant has been sent, the client may
// withdraw it with a cancel, or by going away.
func (s *server) acquire(m *message, messages <-chan *message, answer *json.Encoder) {
	r, w := s.store.acquire(m.Client, m)
	if w == nil {
		if answer.Encode(r) != nil || r.Status != "" {
			return
		}
		if next, more := <-messages; more && next.Op == "cancel" {
			s.store.release(&message{Hold: driver.Hold{Key: m.Request.Key, ID: m.Request.ID}})
			_ = answer.Encode(reply{Status: "withdrawn"})
		}
		return
	}
	over := w.over
	for {
		select {
		case <-over:
			over = nil
			if w.lost {
				_ = answer.Encode(reply{Status: "lost"})
				return
			}
			_ = answer.Encode(reply{Token: w.entry.Token})
		case next, more := <-messages:
			switch {
			case !more && over == nil:
				return // The grant was sent. What became of it is the client's affair.
			case !more:
				s.store.leave(m, w, true)
				return
			case next.Op == "cancel":
				s.store.leave(m, w, false)
				_ = answer.Encode(reply{Status: "withdrawn"})
				return
			case over != nil:
				_ = answer.Encode(reply{Status: "waiting"})
			}
		}
	}
}

// watch tells a client of breaks until it goes away.
func (s *server) watch(m *message, messages <-chan *message, answer *json.Encoder) {
	nudge := make(chan struct{}, 1)
	id := m.Hold.ID
	s.store.mu.Lock()
	s.store.watchers[id] = append(s.store.watchers[id], nudge)
	s.store.mu.Unlock()
	_ = answer.Encode(reply{})
	for {
		select {
		case <-nudge:
			_ = answer.Encode(reply{Status: "nudge"})
		case <-messages:
			return
		}
	}
}
