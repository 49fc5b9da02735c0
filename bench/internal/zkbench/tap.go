package zkbench

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// A tap stands between clients and server, and counts what it carries. It
// changes nothing.
type tap struct {
	listener net.Listener
	server   string
	group    sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // of both sides; nil when closed
	sum   traffic
}

// traffic is what was carried so far. Handshakes are not in it.
type traffic struct {
	sessions int // connections made
	requests int // but for pings
	pings    int
	events   int // watches that fired
	bytes    int // of requests, replies and events, but for pings
}

func (t traffic) since(before traffic) traffic {
	return traffic{
		sessions: t.sessions - before.sessions, requests: t.requests - before.requests, pings: t.pings - before.pings,
		events: t.events - before.events, bytes: t.bytes - before.bytes,
	}
}

func startTap(ctx context.Context, server string) (*tap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start relay: %w", err)
	}
	t := &tap{listener: l, server: server, conns: make(map[net.Conn]struct{})}
	t.group.Go(func() { t.accept(ctx) })
	return t, nil
}

func (t *tap) addr() string { return t.listener.Addr().String() }

// traffic returns what was carried so far.
func (t *tap) traffic() traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sum
}

// close cuts all connections and waits until nobody works here.
func (t *tap) close() {
	_ = t.listener.Close()
	t.mu.Lock()
	for conn := range t.conns {
		_ = conn.Close()
	}
	t.conns = nil
	t.mu.Unlock()
	t.group.Wait()
}

func (t *tap) accept(ctx context.Context) {
	for {
		client, err := t.listener.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		t.mu.Lock()
		closed := t.conns == nil
		if !closed {
			t.conns[client], t.conns[server] = struct{}{}, struct{}{}
			t.sum.sessions++
		}
		t.mu.Unlock()
		if closed {
			_ = errors.Join(client.Close(), server.Close())
			return
		}
		t.group.Go(func() { t.carry(server, client, t.request) })
		t.group.Go(func() { t.carry(client, server, t.reply) })
	}
}

const (
	opClose  = -11
	opPing   = 11
	xidEvent = -1
	xidPing  = -2
)

// request counts a frame from a client, by its second number.
func (t *tap) request(_, op int32, size int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch op {
	case opPing:
		t.sum.pings++
	case opClose:
	default:
		t.sum.requests++
		t.sum.bytes += size
	}
}

// reply counts a frame from the server, by its first number.
func (t *tap) reply(xid, _ int32, size int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch xid {
	case xidPing:
		return
	case xidEvent:
		t.sum.events++
	}
	t.sum.bytes += size
}

// carry hands on frames until one side closes. The first is the handshake,
// which has no numbers.
func (t *tap) carry(to, from net.Conn, count func(first, second int32, size int)) {
	defer func() {
		_ = errors.Join(from.Close(), to.Close())
		t.mu.Lock()
		delete(t.conns, from)
		delete(t.conns, to)
		t.mu.Unlock()
	}()
	in, out := bufio.NewReaderSize(from, 1<<16), bufio.NewWriterSize(to, 1<<16)
	for handshake := true; ; handshake = false {
		head, err := in.Peek(4)
		if err != nil {
			return
		}
		size := 4 + int(binary.BigEndian.Uint32(head))
		if !handshake && size >= 12 {
			if head, err = in.Peek(12); err != nil {
				return
			}
			count(int32(binary.BigEndian.Uint32(head[4:])), int32(binary.BigEndian.Uint32(head[8:])), size) //nolint:gosec // They are signed on the wire.
		}
		if _, err := io.CopyN(out, in, int64(size)); err != nil {
			return
		}
		if in.Buffered() > 0 {
			continue
		}
		if err := out.Flush(); err != nil {
			return
		}
	}
}
