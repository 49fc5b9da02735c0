package zk

import (
	"encoding/binary"
	"errors"
)

const (
	// maxFrame bounds what one answer may take. A directory with 100,000 waiters
	// takes 7 MB to list.
	maxFrame = 64 << 20
	// maxGreeting bounds the answers of a server that is not known yet.
	maxGreeting = 64 << 10
	// trusted is how much room a frame gets before any of it has come.
	trusted = 1 << 20
)

// errMalformed is an answer that no ZooKeeper gives.
var errMalformed = errors.New("malformed answer: is this a ZooKeeper server?")

// An encoder writes the wire format (jute): big-endian numbers, and strings
// behind their length.
type encoder struct{ b []byte }

func (e *encoder) int32(n int32) { e.b = binary.BigEndian.AppendUint32(e.b, uint32(n)) }
func (e *encoder) int64(n int64) { e.b = binary.BigEndian.AppendUint64(e.b, uint64(n)) }

func (e *encoder) bool(is bool) {
	if is {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) string(s string) {
	e.int32(int32(len(s))) //nolint:gosec // Paths and names are far shorter.
	e.b = append(e.b, s...)
}

func (e *encoder) bytes(b []byte) {
	e.int32(int32(len(b))) //nolint:gosec // Data is far shorter.
	e.b = append(e.b, b...)
}

func (e *encoder) strings(list []string) {
	e.int32(int32(len(list))) //nolint:gosec // There are far fewer.
	for _, s := range list {
		e.string(s)
	}
}

// frame appends what put writes, behind its length.
func (e *encoder) frame(put func(e *encoder)) {
	at := len(e.b)
	e.int32(0)
	put(e)
	binary.BigEndian.PutUint32(e.b[at:], uint32(len(e.b)-at-4)) //nolint:gosec // A frame is far shorter.
}

// A decoder reads the wire format. After the first thing that is missing or too
// long, failed is set and all else is zero.
type decoder struct {
	b      []byte
	failed bool
}

func (d *decoder) take(n int) []byte {
	if d.failed || n < 0 || n > len(d.b) {
		d.failed, d.b = true, nil
		return nil
	}
	taken := d.b[:n:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) int32() int32 {
	if b := d.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b)) //nolint:gosec // The sign is meant.
	}
	return 0
}

func (d *decoder) int64() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b)) //nolint:gosec // The sign is meant.
	}
	return 0
}

// bytes returns nil for the length -1, which stands for no data.
func (d *decoder) bytes() []byte {
	n := d.int32()
	if n == -1 {
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) string() string { return string(d.bytes()) }

func (d *decoder) strings() []string {
	n := int(d.int32())
	if n < 0 || n > len(d.b)/4 { // Each takes 4 bytes at least.
		d.failed = d.failed || n != -1
		return nil
	}
	// All are parts of one string: who keeps some of many copies them.
	all, left := string(d.b), len(d.b)
	list := make([]string, 0, n)
	for range n {
		taken := d.bytes()
		at := left - len(d.b)
		list = append(list, all[max(at-len(taken), 0):at])
	}
	return list
}

func (d *decoder) err() error {
	if d.failed {
		return errMalformed
	}
	return nil
}
