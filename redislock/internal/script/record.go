package script

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// Foreign is the owner that is shown for a holder who took the lock's key
// without stile. What it wrote there is not shown: it is that program's secret.
const Foreign = "a program that does not use stile"

// never is the time at which a lease expires that does not.
const never = 1<<53 - 1

// A tail is the part of a record that only Go reads.
type tail struct {
	Owner    string            `json:"o,omitempty"`
	Metadata map[string]string `json:"m,omitempty"`
}

// Tail writes what is kept with an attempt for people.
func Tail(owner string, metadata map[string]string) string {
	return string(appendTail(nil, owner, metadata))
}

func appendTail(text []byte, owner string, metadata map[string]string) []byte {
	if len(metadata) == 0 && isPlain(owner) { // Nearly always.
		if owner == "" {
			return text
		}
		text = append(text, `{"o":"`...)
		text = append(text, owner...)
		return append(text, `"}`...)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // It would be longer, and harder to read.
	if err := e.Encode(tail{owner, metadata}); err != nil {
		panic("script: " + err.Error()) // Strings can be written.
	}
	return append(text, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// isPlain reports whether text stands in JSON as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// ParseRecord reads the record of an attempt. Place in line is its Seq.
func ParseRecord(text string) (lockqueue.Entry, error) {
	var e lockqueue.Entry
	fields := strings.SplitN(text, " ", 13)
	if len(fields) != 13 || fields[0] != "stile1" || len(fields[1]) != 2 {
		return e, errRecord("it has another form")
	}
	switch fields[1][0] {
	case 'w':
		e.Phase = lockqueue.Waiting
	case 'h', 'm': // m: with a minimum hold.
		e.Phase = lockqueue.Held
	case 'r':
		e.Phase = lockqueue.Released
	case 'b':
		e.Phase = lockqueue.Broken
	default:
		return e, errRecord("no such phase")
	}
	switch fields[1][1] {
	case 'x':
	case 's':
		e.Mode = driver.Shared
	default:
		return e, errRecord("no such mode")
	}
	var err error
	if e.ID, err = driver.ParseLeaseID(fields[2]); err != nil {
		return e, fmt.Errorf("parse record: %w", err)
	}
	var numbers [8]uint64
	for i := range numbers {
		if i == 2 && fields[3+i] == "+" {
			continue // Its TTL after it was granted: see below.
		}
		if numbers[i], err = parseNumber(fields[3+i]); err != nil {
			return e, errRecord("a number is none")
		}
	}
	e.Token, e.Since, e.Expires = numbers[0], lockqueue.Micros(numbers[1]), lockqueue.Micros(numbers[2])
	e.SinceWall = e.Since
	if fields[5] == "+" {
		e.Expires = e.Since + lockqueue.Micros(numbers[3])
	}
	e.TTL, e.MinHold, e.Seq = lockqueue.Micros(numbers[3]), lockqueue.Micros(numbers[4]), numbers[6]
	if numbers[5] < 1 || numbers[5] > driver.MaxTokens || numbers[7] < 1 || numbers[7] > driver.MaxLimit {
		return e, errRecord("a number is out of bounds")
	}
	e.Tokens = int(numbers[5])
	if fields[11] == "" {
		return e, errRecord("it has no address")
	} else if fields[11] != "-" {
		e.Addr = fields[11]
	}
	if e.ID.IsZero() {
		e.Owner = Foreign
		return e, nil
	}
	if fields[12] != "" {
		var t tail
		if err := json.Unmarshal([]byte(fields[12]), &t); err != nil {
			return e, errRecord("what is kept with it is no JSON")
		}
		e.Owner, e.Metadata = t.Owner, t.Metadata
	}
	return e, nil
}

// parseNumber reads a decimal number that Lua can hold: digits, below 2^53.
func parseNumber(text string) (uint64, error) {
	if text == "" || text[0] < '0' || text[0] > '9' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(text, 10, 53)
}

func errRecord(what string) error {
	return fmt.Errorf("parse record: %s: another version of stile, or another program, has written it", what)
}

// Holder describes a holding entry for people, at the server's time now. Of one
// that stile did not grant only little is known.
func Holder(e *lockqueue.Entry, now lockqueue.Micros) driver.Holder {
	if !e.ID.IsZero() {
		return e.Holder(lockqueue.Now{Lease: now, Wall: now})
	}
	h := driver.Holder{Owner: Foreign}
	if e.Expires < never {
		h.Expires = e.Expires.Time()
	}
	return h
}
