package zk

import (
	"bytes"
	"errors"
	"testing"
)

func TestFrameOfAnotherProgram(t *testing.T) {
	t.Parallel()
	if _, err := readFrame(bytes.NewReader([]byte("HTTP/1.1 400 Bad Request\r\n")), maxFrame); !errors.Is(err, errMalformed) {
		t.Errorf("an answer of HTTP: %v", err)
	}
	d := decoder{b: []byte{0x7f, 0xff, 0xff, 0xff}}
	if list := d.strings(); list != nil || d.err() == nil {
		t.Errorf("a list that is longer than its frame: %v, %v", list, d.err())
	}
}

// FuzzAnswers: whatever a server says, nothing breaks and nothing large is made.
func FuzzAnswers(f *testing.F) {
	var e encoder
	e.string("/a/b")
	e.strings([]string{"x", "y"})
	e.b = append(e.b, make([]byte, 80)...)
	f.Add(e.b)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range []Request{&Create{}, &Delete{}, &Exists{}, &Get{}, &Set{}, &Children{}, &Sync{}, &Check{}} {
			d := decoder{b: b}
			var reply Reply
			r.take(&d, &reply)
			if len(reply.Path)+len(reply.Data) > len(b) || len(reply.Children) > len(b)/4 {
				t.Errorf("%T makes %+v of %d bytes", r, reply, len(b))
			}
			if d.failed && len(d.b) > 0 {
				t.Errorf("%T fails and goes on", r)
			}
		}
	})
}
