package zk

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

// newTestSession is a session without servers: for what its parts do by themselves.
func newTestSession(t *testing.T, timeout time.Duration) *Session {
	t.Helper()
	s := &Session{
		timeout: timeout, id: 1, done: make(chan struct{}), watches: map[string][]*Watch{}, setting: map[string]int{}, last: -1,
		proven: driver.SystemClock(),
	}
	s.life, s.stop = context.WithCancel(t.Context())
	t.Cleanup(s.stop)
	return s
}

// newTestWire is a connection, and its other end.
func newTestWire(t *testing.T) (w *wire, peer net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if peer, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = conn.Close(), peer.Close() })
	return newWire(conn), peer
}

func answer(xid int32, zxid int64, code Code) []byte {
	var e encoder
	e.int32(xid)
	e.int64(zxid)
	e.int32(int32(code))
	return e.b
}

// TestQueueTakesTheRoomOfWhatIsInIt: with always something under way.
func TestQueueTakesTheRoomOfWhatIsInIt(t *testing.T) {
	t.Parallel()
	var q queue
	calls := make([]*Call, 1000)
	for i := range calls {
		calls[i] = &Call{}
	}
	out, in := 0, 0
	for range 5 {
		q.push(calls[in%len(calls)])
		in++
	}
	for range 100_000 {
		q.push(calls[in%len(calls)])
		in++
		if c := q.pop(); c != calls[out%len(calls)] {
			t.Fatalf("the one at %d is another", out)
		}
		out++
	}
	if cap(q.calls) > 100 {
		t.Errorf("%d under way take room for %d", in-out, cap(q.calls))
	}
}

// TestMoveThatBreaksHalfway: what a watch has not been asked for yet is asked for
// from where it was last heard of, though others have heard of more.
func TestMoveThatBreaksHalfway(t *testing.T) {
	t.Parallel()
	s := newTestSession(t, time.Minute)
	for i := range 3000 {
		path := fmt.Sprintf("/%s%d", strings.Repeat("x", 80), i)
		s.watches[path] = []*Watch{{}}
	}
	from := func() (zxids []int64, w *wire) {
		w, _ = newTestWire(t)
		var e encoder
		w.setting = s.rewatchLocked(&e)
		for r := bytes.NewReader(e.b); r.Len() > 0; {
			frame, err := readFrame(r, maxFrame)
			if err != nil {
				t.Fatal(err)
			}
			d := decoder{b: frame}
			if xid, op := d.int32(), d.int32(); xid != xidSetWatches || op != opSetWatches {
				t.Fatalf("request %d, %d", xid, op)
			}
			zxids = append(zxids, d.int64())
		}
		if len(zxids) < 2 || len(zxids) != w.setting {
			t.Fatalf("%d requests, %d are counted", len(zxids), w.setting)
		}
		return zxids, w
	}
	hear := func(w *wire, frame []byte) {
		if err := s.heardLocked(w, frame); err != nil {
			t.Fatal(err)
		}
	}
	w, _ := newTestWire(t)
	hear(w, answer(xidPing, 100, 0))
	_, w = from()
	hear(w, answer(xidSetWatches, 200, 0)) // The first answer; then the connection breaks.
	zxids, w := from()
	for _, zxid := range zxids {
		if zxid != 100 {
			t.Errorf("watches are set from transaction %d on: nobody has heard of what happened since 100", zxid)
		}
	}
	if s.zxid != 200 {
		t.Errorf("the last transaction seen is %d", s.zxid)
	}
	for range zxids {
		hear(w, answer(xidSetWatches, 300, 0))
	}
	if zxids, _ = from(); zxids[0] != 300 {
		t.Errorf("after all answers: from transaction %d on", zxids[0])
	}
}

// TestSignsOfLifeAreInTime: a connection is pinged by the look that is the last one
// before its part of the timeout is over.
func TestSignsOfLifeAreInTime(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{400 * time.Millisecond, 20 * time.Second, 5 * time.Minute} {
		s := newTestSession(t, timeout)
		w, _ := newTestWire(t)
		w.lastSent = driver.SystemClock().Add(-(timeout/PingPart - s.lookEvery()/2))
		w.heard = w.lastSent
		if s.look(w); w.pinged == 0 {
			t.Errorf("timeout %v: no ping %v before %v are over, and the next look is in %v", timeout, s.lookEvery()/2, timeout/PingPart, s.lookEvery())
		}
		w, _ = newTestWire(t)
		if s.look(w); w.pinged != 0 {
			t.Errorf("timeout %v: a connection that has just spoken is pinged", timeout)
		}
	}
}

// TestServerThatHasFallenAsleepIsReminded: a request that is not answered is followed
// by a ping, long before the connection is given up (ZOOKEEPER-4537).
func TestServerThatHasFallenAsleepIsReminded(t *testing.T) {
	t.Parallel()
	s := newTestSession(t, 5*time.Minute)
	w, peer := newTestWire(t)
	s.wire = w
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	call := s.Start(&Get{Path: "/"})[0]
	if s.look(w); w.pinged != 0 {
		t.Error("a request that was just sent is followed by a ping")
	}
	w.lastSent = driver.SystemClock().Add(-remindAfter)
	call.reply.Sent = w.lastSent
	if s.look(w); w.pinged == 0 {
		t.Errorf("a request is not answered for %v, and no ping follows", remindAfter)
	}
	if w.broken {
		t.Errorf("a connection is given up after %v", remindAfter)
	}
}

// TestOnlyWhatIsWrittenProves: a follower refuses some requests by itself.
func TestOnlyWhatIsWrittenProves(t *testing.T) {
	t.Parallel()
	s := newTestSession(t, time.Minute)
	w, peer := newTestWire(t)
	s.wire = w
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	for _, step := range []struct {
		request Request
		code    Code
		written bool
	}{{&Delete{Path: "/"}, Throttled, false}, {&Get{Path: "/"}, NoNode, false}, {&Delete{Path: "/"}, 0, true}} {
		before := s.WrittenAt()
		call := s.Start(step.request)[0]
		s.mu.Lock()
		err := s.heardLocked(w, answer(call.xid, 7, step.code))
		s.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if written := s.WrittenAt() != before; written != step.written || s.ProvenAt() != call.reply.Sent {
			t.Errorf("%T answered with %d: written %v, want %v", step.request, step.code, written, step.written)
		}
	}
}

// TestBreakDoesNotWait: a connection that takes no more bytes is left at once, with
// TLS too.
func TestBreakDoesNotWait(t *testing.T) {
	t.Parallel()
	w, peer := newTestWire(t)
	certificate := testCertificate(t)
	shaken := make(chan error, 1)
	go func() {
		shaken <- tls.Server(peer, &tls.Config{Certificates: []tls.Certificate{certificate}}).HandshakeContext(t.Context())
	}()
	secure := tls.Client(w.conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // Not what is tested.
	if err := errors.Join(secure.HandshakeContext(t.Context()), <-shaken); err != nil {
		t.Fatal(err)
	}
	w.conn = secure
	s := newTestSession(t, 300*time.Millisecond)
	s.wire = w
	var err error
	for _, size := range []int{1 << 16, 1} { // Nobody reads at the other end: at last not even a byte has room.
		for err = nil; err == nil; {
			_ = secure.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			_, err = secure.NetConn().Write(make([]byte, size))
		}
	}
	begun := time.Now()
	s.mu.Lock()
	s.breakLocked(w, err)
	s.mu.Unlock()
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestWatchOfTwoRequests hears once.
func TestWatchOfTwoRequests(t *testing.T) {
	t.Parallel()
	s := newTestSession(t, time.Minute)
	w := s.NewWatch(nil)
	s.mu.Lock()
	s.watchLocked(&Get{Path: "/x", Watch: w}, nil)
	s.watchLocked(&Get{Path: "/x", Watch: w}, nil)
	s.mu.Unlock()
	fired := make(chan struct{})
	go func() {
		defer close(fired)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fireLocked("/x", Deleted)
		s.watchLocked(&Get{Path: "/x", Watch: w}, nil)
		s.fireLocked("/x", Deleted)
	}()
	within(t, "the event", patience, fired)
	hears(t, w, Deleted)
	if len(s.watches) != 0 {
		t.Errorf("left: %v", s.watches)
	}
}

// TestTheServerThatFailedComesLast: its silence would cost most of the time.
func TestTheServerThatFailedComesLast(t *testing.T) {
	t.Parallel()
	var dialed []string
	s := newTestSession(t, time.Minute)
	s.config.Servers = []string{"a:1", "b:1", "c:1"}
	var cancel context.CancelFunc
	s.config.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
		if dialed = append(dialed, address); len(dialed)%3 == 0 {
			cancel()
		}
		return nil, errors.New("nobody there")
	}
	s.last = 1
	for range 30 {
		ctx, stop := context.WithCancel(t.Context())
		cancel = stop
		_, err := s.connect(ctx, time.Second)
		stop()
		if err == nil {
			t.Fatal("a connection to nobody")
		}
	}
	for i, address := range dialed {
		if i%3 == 2 != (address == "b:1") {
			t.Fatalf("dialed %v", dialed)
		}
	}
}

// TestRoomForWhatHasCome: an announcement costs nothing.
func TestRoomForWhatHasCome(t *testing.T) { //nolint:paralleltest // It counts allocations.
	head := binary.BigEndian.AppendUint32(nil, maxFrame)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := readFrame(bytes.NewReader(append(head, "a few bytes"...)), maxFrame)
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("a frame of a few bytes is said to be whole")
	}
	if made := after.TotalAlloc - before.TotalAlloc; made > 8*trusted {
		t.Errorf("%d bytes are made for it", made)
	}
	long := bytes.Repeat([]byte("0123456789"), trusted/4)
	frame, err := readFrame(bytes.NewReader(append(binary.BigEndian.AppendUint32(nil, uint32(len(long))), long...)), maxFrame)
	if err != nil || !bytes.Equal(frame, long) {
		t.Errorf("%d bytes of %d, %v", len(frame), len(long), err)
	}
	if _, err := readFrame(bytes.NewReader(append(head, long...)), maxGreeting); !errors.Is(err, errMalformed) {
		t.Errorf("a long greeting: %v", err)
	}
}

func testCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
