package zkproxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// An Op is what a request asks for, by ZooKeeper's own numbers, or something else
// that passes by.
type Op int32

// Requests, by the numbers of the protocol.
const (
	Create          Op = 15 // with a Stat in the answer
	Delete          Op = 2
	Exists          Op = 3
	Get             Op = 4
	Set             Op = 5
	Sync            Op = 9
	Ping            Op = 11
	Children        Op = 12 // with a Stat in the answer
	RemoveWatches   Op = 18
	CreateContainer Op = 19
	Auth            Op = 100
	SetWatches      Op = 101
	Close           Op = -11

	// PlainCreate and PlainChildren are the older forms, which other clients use.
	PlainCreate   Op = 1
	PlainChildren Op = 8
)

// What is no request.
const (
	// Any is every command: all requests but those of [Op.housekeeping].
	Any Op = 0
	// Handshake is the first thing on each connection, and its answer.
	Handshake Op = -100
	// Event is what a server says unasked: a watch has fired.
	Event Op = -101
)

// housekeeping are the requests that a client sends by itself.
func (op Op) housekeeping() bool {
	switch op {
	case Ping, RemoveWatches, Auth, SetWatches, Handshake, Event:
		return true
	default:
		return false
	}
}

const (
	maxFrame = 64 << 20
	xidEvent = -1
	// handshakeXid names the handshake among the answers that are awaited.
	handshakeXid = -1 << 31
)

var errMalformed = errors.New("zkproxy: malformed frame")

// readFrame returns the next frame with the four bytes of its length.
func readFrame(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head)
	if size > maxFrame {
		return nil, errMalformed
	}
	frame := make([]byte, 4+size)
	copy(frame, head)
	_, err := io.ReadFull(r, frame[4:])
	return frame, err
}

func number(frame []byte, at int) (int32, error) {
	if len(frame) < at+4 {
		return 0, errMalformed
	}
	return int32(binary.BigEndian.Uint32(frame[at:])), nil //nolint:gosec // It is signed.
}

// A Session is what a client needs to take a session over: see zk.Resume.
type Session struct {
	ID       int64
	Password []byte
}

// readSession reads the answer to a handshake. ID is 0 if the server knows no such
// session any more.
func readSession(frame []byte) (s Session, err error) {
	const id, password = 12, 24
	size, err := number(frame, password-4)
	if err != nil || size < 0 || len(frame) < password+int(size) {
		return s, errMalformed
	}
	s.ID = int64(binary.BigEndian.Uint64(frame[id:])) //nolint:gosec // It is signed.
	s.Password = bytes.Clone(frame[password : password+int(size)])
	return s, nil
}
