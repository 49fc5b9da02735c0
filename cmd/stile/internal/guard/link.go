package guard

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// A kind names a message between front and guard.
type kind string

// What the front says.
const (
	kindPrepare  kind = "prepare"  // the command, long before it is started
	kindStart    kind = "start"    // run it now
	kindDeadline kind = "deadline" // the lease was renewed; the guard says it too while it keeps the lease
	kindSignal   kind = "signal"   // pass a signal on to the command's group
	kindStop     kind = "stop"     // the lease is lost: end the command
	kindKeep     kind = "keep"     // renew the lease while the front is stopped
	kindMine     kind = "mine"     // the front renews it again
	kindDone     kind = "done"     // the lease is released; nothing is left to do
)

// What the guard says.
const (
	kindStarted kind = "started"
	kindFailed  kind = "failed"  // the command could not be started
	kindStopped kind = "stopped" // by job control
	kindExited  kind = "exited"  // by itself
	kindEnding  kind = "ending"  // SIGTERM was sent
	kindGone    kind = "gone"    // ended by the guard, descendants and all
	kindKept    kind = "kept"    // the answer to keep
)

// A message is one line of JSON. Strings that come from the user are bytes:
// JSON would change what is not UTF-8.
type message struct {
	Kind kind `json:"kind"`

	Raw  [][]byte `json:"raw,omitempty"` // prepare: the path, then the arguments
	Env  [][]byte `json:"env,omitempty"` // prepare: all; start: what the lease adds
	Rule Rule     `json:"rule,omitzero"`

	Foreground bool    `json:"foreground,omitempty"`
	Deadline   Instant `json:"deadline,omitempty"`
	Store      string  `json:"store,omitempty"`
	Handle     string  `json:"handle,omitempty"`

	Signal int     `json:"signal,omitempty"`
	Pid    int     `json:"pid,omitempty"`
	Status uint32  `json:"status,omitempty"` // as wait(2) gives it
	At     Instant `json:"at,omitempty"`
	Code   int     `json:"code,omitempty"`
	Text   string  `json:"text,omitempty"`
	Pids   []int   `json:"pids,omitempty"`

	Released bool `json:"released,omitempty"`
}

// A link is one end of the socket between front and guard.
type link struct {
	conn net.Conn

	mu     sync.Mutex // orders writers
	broken bool
}

// newLink takes over the file.
func newLink(file *os.File) (*link, error) {
	conn, err := net.FileConn(file) // It works on a close-on-exec copy.
	_ = file.Close()
	if err != nil {
		return nil, fmt.Errorf("open link: %w", err)
	}
	return &link{conn: conn}, nil
}

// send writes a message. The other side may be frozen: then the socket's
// buffer takes what it can, and patience bounds the rest. A link that failed
// once stays silent, because half a line may be in it.
func (l *link) send(m *message, patience time.Duration) error {
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		return fmt.Errorf("write message: %w", os.ErrClosed)
	}
	_ = l.conn.SetWriteDeadline(time.Now().Add(patience)) // Without it a write waits longer.
	if _, err := l.conn.Write(append(line, '\n')); err != nil {
		l.broken = true
		return fmt.Errorf("write message: %w", err)
	}
	return nil
}

// receive reads messages into the channel until the other side is gone or
// quit is closed; then it closes the channel.
func (l *link) receive(to chan<- *message, quit <-chan struct{}) {
	defer close(to)
	decoder := json.NewDecoder(l.conn)
	for {
		m := new(message)
		if decoder.Decode(m) != nil {
			return
		}
		select {
		case to <- m:
		case <-quit:
			return
		}
	}
}

func (l *link) close() { _ = l.conn.Close() }

func toBytes(text []string) [][]byte {
	raw := make([][]byte, len(text))
	for i, s := range text {
		raw[i] = []byte(s)
	}
	return raw
}

func toStrings(raw [][]byte) []string {
	text := make([]string, len(raw))
	for i, b := range raw {
		text[i] = string(b)
	}
	return text
}
