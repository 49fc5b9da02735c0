package zk

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/stilelock/stile/driver"
)

// dialKeepAlive has the kernel notice a dead peer in time, though the pings do so
// sooner.
const dialKeepAlive = 15 * time.Second

// handshake opens a connection and has the server take the session, within a
// deadline of its own: a server that says nothing costs no more.
func (s *Session) handshake(ctx context.Context, address string, limit time.Duration) (*wire, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := s.dial(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("connect to zookeeper %s: %w", address, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	w, err := s.greet(conn)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		stop()
		_ = conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("connect to zookeeper %s: %w", address, err)
	}
	s.install(w)
	return w, nil
}

func (s *Session) dial(ctx context.Context, address string) (net.Conn, error) {
	dial := s.config.Dial
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: dialKeepAlive}).DialContext
	}
	conn, err := dial(ctx, "tcp", address)
	if err != nil || s.config.TLS == nil {
		return conn, err
	}
	config := s.config.TLS
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		config = config.Clone()
		config.ServerName = host
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// greet asks for the session, or a new one, and shows who this is.
func (s *Session) greet(conn net.Conn) (*wire, error) {
	s.mu.Lock()
	var e encoder
	e.frame(func(e *encoder) {
		e.int32(0) // the version of the protocol
		e.int64(s.zxid)
		e.int32(int32(s.timeout.Milliseconds())) //nolint:gosec // Less than MaxTTL.
		e.int64(s.id)
		e.bytes(s.password)
		e.bool(false) // not read-only
	})
	s.mu.Unlock()
	at := driver.SystemClock()
	if _, err := conn.Write(e.b); err != nil {
		return nil, err
	}
	frame, err := readFrame(conn, maxGreeting)
	if err != nil {
		return nil, err
	}
	d := decoder{b: frame}
	_, timeout, id, password := d.int32(), d.int32(), d.int64(), d.bytes()
	if err := d.err(); err != nil {
		return nil, err
	}
	if timeout <= 0 || id == 0 || s.id != 0 && id != s.id {
		return nil, ErrExpired
	}
	if err := s.showAuth(conn); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	given := time.Duration(timeout) * time.Millisecond
	switch {
	case s.proven == 0 && s.id == 0:
		s.id, s.timeout, s.written = id, given, at // To open a session is a change.
	case s.proven == 0:
		s.timeout = given
	case s.timeout != given:
		return nil, ErrExpired // This server has other bounds: what was promised for the session's time holds no more.
	}
	s.password = password
	s.proven = max(s.proven, at)
	return newWire(conn), nil
}

func (s *Session) showAuth(conn net.Conn) error {
	for _, auth := range s.config.Auth {
		var e encoder
		e.frame(func(e *encoder) {
			e.int32(xidAuth)
			e.int32(opAuth)
			e.int32(0)
			e.string(auth.Scheme)
			e.bytes(auth.Data)
		})
		if _, err := conn.Write(e.b); err != nil {
			return err
		}
		frame, err := readFrame(conn, maxGreeting)
		if err != nil {
			return err
		}
		d := decoder{b: frame}
		_, _, code := d.int32(), d.int64(), d.int32()
		if err := d.err(); err != nil {
			return err
		}
		if code != 0 {
			return Code(code)
		}
	}
	return nil
}

// readFrame returns the next frame of at most that many bytes.
func readFrame(r io.Reader, most uint32) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > most {
		return nil, errMalformed
	}
	if n <= trusted {
		frame := make([]byte, n)
		_, err := io.ReadFull(r, frame)
		return frame, err
	}
	var frame bytes.Buffer // It grows with what comes, not with what is announced.
	_, err := io.CopyN(&frame, r, int64(n))
	return frame.Bytes(), err
}
