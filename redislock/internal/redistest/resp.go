package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// patience bounds one command of this package.
const patience = 10 * time.Second

// An Error is an error reply of Redis, as it came.
type Error string

// Error returns the reply's text.
func (e Error) Error() string { return string(e) }

// A Conn is a plain connection that speaks RESP2, for what a client library
// would hide. It is for one goroutine at a time.
type Conn struct {
	net.Conn
	in *bufio.Reader
}

// Dial connects to a Redis at address on network ("tcp" or "unix").
func Dial(network, address string) (*Conn, error) {
	conn, err := net.DialTimeout(network, address, patience) //nolint:noctx // It is bounded, and a cleanup has no context to give.
	if err != nil {
		return nil, fmt.Errorf("dial redis: %w", err)
	}
	return &Conn{Conn: conn, in: bufio.NewReader(conn)}, nil
}

// Do sends a command and returns its reply: a string, an int64, nil or a []any
// of such. An error reply is returned as an [Error].
func (c *Conn) Do(args ...string) (any, error) {
	if err := c.Send(args...); err != nil {
		return nil, err
	}
	return c.Receive(patience)
}

// Send sends a command and does not wait for the reply.
func (c *Conn) Send(args ...string) error {
	text := make([]byte, 0, 64)
	text = fmt.Appendf(text, "*%d\r\n", len(args))
	for _, arg := range args {
		text = fmt.Appendf(text, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if err := c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("send %s: %w", args[0], err)
	}
	if _, err := c.Write(text); err != nil {
		return fmt.Errorf("send %s: %w", args[0], err)
	}
	return nil
}

// Receive returns the next reply, or a message of a subscription, that comes
// within d.
func (c *Conn) Receive(d time.Duration) (any, error) {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return nil, fmt.Errorf("read reply: %w", err)
	}
	value, err := c.read()
	if failed, is := value.(Error); is && err == nil {
		return nil, failed
	}
	return value, err
}

// read reads one value. An error reply is an Error among the values.
func (c *Conn) read() (any, error) {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("read reply: %w", err)
	}
	if len(line) < 3 {
		return nil, fmt.Errorf("read reply: malformed line %q", line)
	}
	kind, text := line[0], line[1:len(line)-2]
	if kind == '+' {
		return text, nil
	} else if kind == '-' {
		return Error(text), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read reply: %w", err)
	}
	switch {
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		bulk := make([]byte, n+2)
		if _, err := io.ReadFull(c.in, bulk); err != nil {
			return nil, fmt.Errorf("read reply: %w", err)
		}
		return string(bulk[:n]), nil
	case kind == '*':
		values := make([]any, n)
		for i := range values {
			if values[i], err = c.read(); err != nil {
				return nil, err
			}
		}
		return values, nil
	default:
		return nil, fmt.Errorf("read reply: unknown kind %q", kind)
	}
}

// isReply reports whether err is an answer of the server, and not trouble with
// reaching it.
func isReply(err error) bool {
	var reply Error
	return errors.As(err, &reply)
}
