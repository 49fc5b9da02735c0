package tests

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stilelock/stile/redislock/internal/redistest"
	"github.com/stilelock/stile/redislock/internal/script"
)

// A wire is a connection that sends many commands at once and then reads what
// they answer, in order.
type wire struct {
	conn *redistest.Conn
	out  []byte
}

// connect opens a connection that the test's end closes.
func connect(t testing.TB, server *redistest.Server) *wire {
	t.Helper()
	conn, err := server.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &wire{conn: conn}
}

// send writes a command; flush lets it go.
func (w *wire) send(args ...string) {
	w.out = fmt.Appendf(w.out, "*%d\r\n", len(args))
	for _, arg := range args {
		w.out = fmt.Appendf(w.out, "$%d\r\n%s\r\n", len(arg), arg)
	}
}

func (w *wire) flush() error {
	_, err := w.conn.Write(w.out)
	w.out = w.out[:0]
	return err
}

// read reads one answer: int64, string, nil, []any, or an error.
func (w *wire) read() (any, error) { return w.conn.Receive(10 * time.Second) }

// do sends a command and returns what it answers.
func (w *wire) do(args ...string) (any, error) {
	w.send(args...)
	if err := w.flush(); err != nil {
		return nil, err
	}
	return w.read()
}

// must fails the test unless the command is answered, and returns the answer.
func (w *wire) must(t tester, args ...string) any {
	t.Helper()
	answer, err := w.do(args...)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return answer
}

// load makes the scripts known to the server.
func (w *wire) load(t testing.TB, scripts ...script.Script) {
	t.Helper()
	for _, s := range scripts {
		if got := w.must(t, "SCRIPT", "LOAD", s.Text); got != s.SHA1 {
			t.Fatalf("the server calls %s %v, and we %s", s.Name, got, s.SHA1)
		}
	}
}

// call makes the command that runs a script.
func call(s *script.Script, keys, args []string) []string {
	all := append([]string{"EVALSHA", s.SHA1, strconv.Itoa(len(keys))}, keys...)
	return append(all, args...)
}
