package zk

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/stilelock/stile/driver"
)

// A Config says where the servers are and what they are told.
type Config struct {
	// Servers are host:port. Names are resolved anew for each connection, and
	// the servers are tried in random order.
	Servers []string
	// Timeout is the session timeout to ask for, in whole ms.
	Timeout time.Duration
	// TLS encrypts connections. A ServerName that is empty is each server's
	// own host. Nil: no TLS.
	TLS *tls.Config
	// Auth is shown to each server before anything else.
	Auth []Auth
	// Dial opens connections. Nil: by TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Failed hears why each try of a server has failed, one after the other. It
	// does not block, and may be nil.
	Failed func(error)
}

// An Auth is a proof of identity: scheme "digest" with user:password.
type Auth struct {
	Scheme string
	Data   []byte
}

// A Session is one session with the servers. Its methods may be called by many
// goroutines at once.
type Session struct {
	config  Config
	life    context.Context //nolint:containedctx // It ends with the session, and what is being dialled with it.
	stop    context.CancelFunc
	done    chan struct{}
	work    sync.WaitGroup
	id      int64
	timeout time.Duration

	mu          sync.Mutex
	password    []byte
	wire        *wire // nil while there is no connection
	queue       []*Call
	zxid        int64 // the last transaction seen
	watchedTo   int64 // the last transaction of which all watches have heard
	proven      driver.Instant
	written     driver.Instant
	connections int
	watches     map[string][]*Watch
	setting     map[string]int
	last        int   // the server of the last connection; of connect alone
	err         error // why it is over
}

const (
	// firstTry bounds one try to open a session: the leader has to write it
	// down. A later try takes a third of the timeout, within bounds.
	firstTry  = 5 * time.Second
	tryLeast  = 250 * time.Millisecond
	pause     = 10 * time.Millisecond
	pauseMost = 500 * time.Millisecond
	// PingPart is the part of the timeout after which a silent connection is
	// pinged.
	PingPart = 6
	// remindAfter is how long an answer may take before a ping goes after the
	// request. Servers from 3.6.0 to 3.8.0 can fall asleep over one until something
	// else comes (ZOOKEEPER-4537).
	remindAfter = time.Second
	// answerPart is the part of the timeout that an answer may take: it leaves
	// half of it to find another server.
	answerPart = 3
)

// Open opens a session. It tries the servers until one answers or ctx ends, and
// returns then the reason of the last try.
func Open(ctx context.Context, config Config) (*Session, error) {
	return open(ctx, config, 0, make([]byte, 16)) //nolint:mnd // The length of a password.
}

func open(ctx context.Context, config Config, id int64, password []byte) (*Session, error) {
	if len(config.Servers) == 0 {
		return nil, errors.New("open session: no servers")
	}
	s := &Session{
		config: config, id: id, timeout: config.Timeout, done: make(chan struct{}), password: password,
		watches: map[string][]*Watch{}, setting: map[string]int{}, last: -1,
	}
	s.life, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	w, err := s.connect(ctx, firstTry)
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("open session: %w", err)
	}
	s.work.Go(func() { s.run(w) })
	return s, nil
}

// Resume takes over a session that somebody else has opened, who loses the
// connection by it.
func Resume(ctx context.Context, config Config, id int64, password []byte) (*Session, error) {
	if id == 0 {
		return nil, errors.New("resume session: no session")
	}
	return open(ctx, config, id, password)
}

// Credentials are what another process needs to resume the session.
func (s *Session) Credentials() (id int64, password []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id, bytes.Clone(s.password)
}

// ID is the session's number, as a node's EphemeralOwner has it.
func (s *Session) ID() int64 { return s.id }

// Timeout is what the servers have agreed to.
func (s *Session) Timeout() time.Duration { return s.timeout }

// Done is closed when the session is over.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is nil, or why the session is over: ErrExpired or ErrClosed.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// ProvenAt is when the latest request was sent that was answered.
func (s *Session) ProvenAt() driver.Instant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proven
}

// WrittenAt is when the latest change was sent that a majority of the servers have
// written down. A server that has lost the others goes on answering all else for a
// while, and takes sessions over, be it a follower or the one that led.
func (s *Session) WrittenAt() driver.Instant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

// Connections is how many connections the session has had.
func (s *Session) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Close ends the session at the servers, which delete its ephemeral nodes at
// once. When ctx ends before they have answered, it is dropped.
func (s *Session) Close(ctx context.Context) error {
	_, err := s.Start(closeSession{})[0].Wait(ctx)
	s.end(ErrClosed)
	s.work.Wait()
	return err
}

// Drop leaves the session to the servers, which let it expire in their own time.
func (s *Session) Drop() {
	s.end(ErrClosed)
	s.work.Wait()
}

// Start sends requests, one behind the other on one connection, or keeps them
// until there is one.
func (s *Session) Start(requests ...Request) []*Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.startLocked(requests...)
	if s.wire != nil {
		s.flush(s.wire)
	}
	return calls
}

func (s *Session) startLocked(requests ...Request) []*Call {
	calls := make([]*Call, len(requests))
	for i, r := range requests {
		c := &Call{session: s, request: r, done: make(chan struct{})}
		calls[i] = c
		switch {
		case s.err != nil:
			c.endLocked(fmt.Errorf("%w: %w", ErrNotSent, s.err))
		case s.wire != nil:
			s.sendLocked(s.wire, c)
		default:
			s.queue = append(s.queue, c)
		}
	}
	return calls
}

func (s *Session) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(why)
}

func (s *Session) endLocked(why error) {
	if s.err != nil {
		return
	}
	s.err = why
	close(s.done)
	s.stop()
	if s.wire != nil {
		s.breakLocked(s.wire, why)
	}
	for _, c := range s.queue {
		c.endLocked(fmt.Errorf("%w: %w", ErrNotSent, why))
	}
	s.queue = nil
	for path := range s.watches {
		s.fireLocked(path, Over)
	}
}

// run keeps a connection until the session is over.
func (s *Session) run(w *wire) {
	defer s.stop()
	for w != nil {
		s.serve(w)
		w = s.reconnect()
	}
}

// reconnect returns a connection to some server, or nil when the session is over.
func (s *Session) reconnect() *wire {
	left := s.timeout - driver.SystemClock().Sub(s.ProvenAt())
	ctx, cancel := context.WithTimeoutCause(s.life, left, ErrExpired)
	defer cancel()
	w, err := s.connect(ctx, min(max(s.timeout/answerPart, tryLeast), firstTry))
	if err != nil {
		s.end(ErrExpired) // Or it is over already.
		return nil
	}
	return w
}

// connect tries the servers, for so long each, until one takes the session. The
// one whose connection has just ended comes last: if it is silent, a try of it takes
// most of the time that is left.
func (s *Session) connect(ctx context.Context, try time.Duration) (*wire, error) {
	sleep := pause
	var last error
	for {
		order := rand.Perm(len(s.config.Servers))
		if at := slices.Index(order, s.last); at >= 0 {
			order = append(slices.Delete(order, at, at+1), s.last)
		}
		for _, i := range order {
			w, err := s.handshake(ctx, s.config.Servers[i], try)
			switch {
			case err == nil:
				s.last = i
				return w, nil
			case errors.Is(err, ErrExpired), errors.Is(err, AuthFailed):
				return nil, err
			case ctx.Err() != nil:
				if last == nil {
					last = err
				}
				return nil, fmt.Errorf("%w: %w", context.Cause(ctx), last)
			}
			last = err
			if s.config.Failed != nil {
				s.config.Failed(err)
			}
		}
		timer := time.NewTimer(sleep/2 + rand.N(sleep/2)) //nolint:gosec // So that not all come at once.
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), last)
		}
		sleep = min(2*sleep, pauseMost)
	}
}
