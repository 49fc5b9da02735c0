package script

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A Kind is what a message is about.
type Kind byte

// The kinds of messages.
const (
	// GrantedMessage: the waiter holds the key.
	GrantedMessage Kind = 'g'
	// WithdrawnMessage: the waiter was withdrawn from the line.
	WithdrawnMessage Kind = 'w'
	// LookMessage: the key gives way earlier than the waiter, who is the first
	// in line, was told.
	LookMessage Kind = 'l'
	// BrokenMessage: the lease was broken, or its record is gone.
	BrokenMessage Kind = 'b'
)

// A Message is what a script publishes to the channel of an attempt.
type Message struct {
	Kind Kind
	// ID is the attempt's.
	ID driver.LeaseID
	// Token, Since and Expires are those of the lease when Kind is
	// [GrantedMessage]. Times are the server's.
	Token          uint64
	Since, Expires lockqueue.Micros
}

// ParseMessage reads a message.
func ParseMessage(payload string) (Message, error) {
	fields := strings.Split(payload, " ")
	if len(fields) < 2 || len(fields[0]) != 1 {
		return Message{}, errMessage
	}
	m := Message{Kind: Kind(fields[0][0])}
	var err error
	if m.ID, err = driver.ParseLeaseID(fields[1]); err != nil {
		return Message{}, fmt.Errorf("parse message: %w", err)
	}
	want := 2
	switch m.Kind {
	case GrantedMessage:
		want = 5
	case WithdrawnMessage, LookMessage, BrokenMessage:
	default:
		return Message{}, errMessage
	}
	if len(fields) != want {
		return Message{}, errMessage
	}
	if m.Kind == GrantedMessage {
		var numbers [3]uint64
		for i := range numbers {
			if numbers[i], err = parseNumber(fields[2+i]); err != nil {
				return Message{}, errMessage
			}
		}
		m.Token, m.Since, m.Expires = numbers[0], lockqueue.Micros(numbers[1]), lockqueue.Micros(numbers[2])
	}
	return m, nil
}

var errMessage = errors.New("parse message: it has another form: another version of stile, or another program, has sent it")
