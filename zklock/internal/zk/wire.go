package zk

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/stilelock/stile/driver"
)

// A wire is one connection of a session. All but conn and gone is guarded by
// Session.mu.
type wire struct {
	conn net.Conn
	gone chan struct{} // closed when it is broken

	out      []byte // what is to be written
	spare    []byte
	writing  bool // somebody writes, and takes along what others put into out
	xid      int32
	inFlight queue // answers come in order
	setting  int   // requests under way that set the watches anew
	pinged   driver.Instant
	lastSent driver.Instant
	heard    driver.Instant
	broken   bool
}

var errSilent = errors.New("the server did not answer in time")

func newWire(conn net.Conn) *wire {
	now := driver.SystemClock()
	return &wire{conn: conn, gone: make(chan struct{}), lastSent: now, heard: now}
}

// A queue is first in, first out.
type queue struct {
	calls []*Call
	head  int
}

// push moves what there is to the front before the slice has to grow: a queue that
// is never empty takes no more room than what is in it.
func (q *queue) push(c *Call) {
	if len(q.calls) == cap(q.calls) && q.head > len(q.calls)/2 {
		left := copy(q.calls, q.calls[q.head:])
		clear(q.calls[left:])
		q.calls, q.head = q.calls[:left], 0
	}
	q.calls = append(q.calls, c)
}

func (q *queue) first() *Call {
	if q.head == len(q.calls) {
		return nil
	}
	return q.calls[q.head]
}

func (q *queue) pop() *Call {
	c := q.first()
	if c == nil {
		return nil
	}
	q.calls[q.head] = nil
	if q.head++; q.head == len(q.calls) {
		q.calls, q.head = q.calls[:0], 0
	}
	return c
}

// install makes w the session's connection, unless the session is over: it sets
// all watches, and sends what was waiting for a connection.
func (s *Session) install(w *wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		w.broken = true
		close(w.gone)
		_ = w.conn.Close()
		return
	}
	s.wire = w
	s.connections++
	e := encoder{w.out}
	w.setting = s.rewatchLocked(&e)
	w.out = e.b
	for _, c := range s.queue {
		if c.state == waiting {
			s.sendLocked(w, c)
		}
	}
	s.queue = nil
	s.flush(w)
}

// sendLocked puts a call on the wire; flush writes it.
func (s *Session) sendLocked(w *wire, c *Call) {
	w.xid = w.xid&0x7fffffff + 1 // Positive: the others mean something.
	if w.xid <= 0 {
		w.xid = 1
	}
	c.state, c.xid, c.reply.Sent = sent, w.xid, driver.SystemClock()
	e := encoder{w.out}
	e.frame(func(e *encoder) {
		e.int32(c.xid)
		e.int32(c.request.code())
		c.request.put(e)
	})
	w.out, w.lastSent = e.b, c.reply.Sent
	w.inFlight.push(c)
	s.settingLocked(c.request, 1)
}

func (s *Session) pingLocked(w *wire, now driver.Instant) {
	e := encoder{w.out}
	e.frame(func(e *encoder) {
		e.int32(xidPing)
		e.int32(opPing)
	})
	w.out, w.pinged, w.lastSent = e.b, now, now
}

// flush writes what there is, in the calling goroutine, unless another is about
// it: that one takes this along. s.mu is held, and let go of meanwhile.
func (s *Session) flush(w *wire) {
	if w.writing {
		return
	}
	w.writing = true
	for len(w.out) > 0 && !w.broken {
		out := w.out
		w.out = w.spare[:0]
		s.mu.Unlock()
		_ = w.conn.SetWriteDeadline(time.Now().Add(s.timeout / answerPart))
		_, err := w.conn.Write(out)
		s.mu.Lock()
		w.spare = out[:0]
		if err != nil {
			s.breakLocked(w, err)
		}
	}
	w.writing = false
}

// breakLocked ends a connection, and all that was sent over it and not answered.
func (s *Session) breakLocked(w *wire, why error) {
	if w.broken {
		return
	}
	w.broken = true
	close(w.gone)
	hangUp(w.conn)
	if s.wire == w {
		s.wire = nil
	}
	for c := w.inFlight.pop(); c != nil; c = w.inFlight.pop() {
		s.settingLocked(c.request, -1)
		c.endLocked(fmt.Errorf("%w: %w", ErrUnknown, why))
	}
}

// hangUp closes a connection without a last word. The one of TLS could wait for seconds
// where nobody reads, and s.mu is held.
func hangUp(conn net.Conn) {
	if secure, is := conn.(*tls.Conn); is {
		conn = secure.NetConn()
	}
	_ = conn.Close()
}

// lookEvery is the time between two looks at a connection.
func (s *Session) lookEvery() time.Duration {
	return min(max(s.timeout/24, 5*time.Millisecond), time.Second) //nolint:mnd // Some looks in each part of the timeout.
}

// serve reads and pings until the connection is broken or the session over.
func (s *Session) serve(w *wire) {
	s.work.Go(func() { s.read(w) })
	ticker := time.NewTicker(s.lookEvery())
	defer ticker.Stop()
	for {
		select {
		case <-w.gone:
			return
		case <-ticker.C:
			s.look(w)
		}
	}
}

// look pings, and ends what has been silent for too long.
func (s *Session) look(w *wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, patience := driver.SystemClock(), s.timeout/answerPart
	owed, idle := w.pinged, now.Sub(w.lastSent)
	c := w.inFlight.first()
	if c != nil && (owed == 0 || c.reply.Sent < owed) {
		owed = c.reply.Sent
	}
	switch {
	case now.Sub(s.proven) >= s.timeout:
		s.endLocked(ErrExpired)
	case owed != 0 && now.Sub(max(owed, w.heard)) > patience:
		s.breakLocked(w, errSilent)
	case w.pinged != 0:
	case (c != nil || w.setting > 0) && idle >= remindAfter, idle >= s.timeout/PingPart-s.lookEvery(): // The next look would be too late.
		s.pingLocked(w, now)
		s.flush(w)
	}
}

// read takes answers and events in until the connection is broken.
func (s *Session) read(w *wire) {
	reader := bufio.NewReaderSize(w.conn, 1<<14) //nolint:mnd // Many answers in one system call.
	for {
		frame, err := readFrame(reader, maxFrame)
		s.mu.Lock()
		if err == nil {
			err = s.heardLocked(w, frame)
		}
		if err != nil {
			s.breakLocked(w, err)
			s.mu.Unlock()
			return
		}
		if len(w.out) > 0 { // A watch was taken away.
			s.flush(w)
		}
		s.mu.Unlock()
	}
}

// heardLocked takes one answer or event in.
func (s *Session) heardLocked(w *wire, frame []byte) error {
	if w.broken {
		return net.ErrClosed
	}
	w.heard = driver.SystemClock()
	d := decoder{b: frame}
	xid, zxid, code := d.int32(), d.int64(), d.int32()
	if err := d.err(); err != nil {
		return err
	}
	if xid == xidSetWatches {
		w.setting--
	}
	s.zxid = max(s.zxid, zxid)
	if w.setting <= 0 { // Until then, some watches may have missed what others have heard.
		s.watchedTo = s.zxid
	}
	switch xid {
	case xidEvent:
		event, _, path := d.int32(), d.int32(), d.string()
		if err := d.err(); err != nil {
			return err
		}
		if event >= int32(Created) && event <= int32(Changed) {
			s.fireLocked(path, EventType(event))
		}
		return nil
	case xidPing:
		s.proven, w.pinged = max(s.proven, w.pinged), 0
		return nil
	case xidSetWatches, xidAuth:
		if code != 0 {
			return Code(code) // Without its watches this connection is worth nothing.
		}
		return nil
	}
	return s.answeredLocked(w, &d, xid, zxid, code)
}

func (s *Session) answeredLocked(w *wire, d *decoder, xid int32, zxid int64, code int32) error {
	c := w.inFlight.first()
	if c == nil || c.xid != xid {
		return errMalformed
	}
	var err error
	if code != 0 {
		err = Code(code)
	} else {
		c.request.take(d, &c.reply)
		if err := d.err(); err != nil {
			return err // And the outcome is unknown.
		}
		if c.reply.refused != 0 {
			err = c.reply.refused
		}
	}
	w.inFlight.pop()
	s.settingLocked(c.request, -1)
	c.reply.Zxid = zxid
	s.proven = max(s.proven, c.reply.Sent)
	switch c.request.(type) {
	case *Create, *Delete, *Set, *Check:
		if err == nil { // A server can refuse by itself.
			s.written = max(s.written, c.reply.Sent)
		}
	}
	s.watchLocked(c.request, err)
	c.endLocked(err)
	if errors.Is(err, SessionExpired) {
		s.endLocked(ErrExpired)
	}
	if _, closed := c.request.(closeSession); closed && err == nil {
		s.endLocked(ErrClosed) // Else its connection would be looked for again.
	}
	return nil
}
