package sqlitelock

import (
	"github.com/stilelock/stile/driver"
)

// Processes tell each other of news by datagrams between sockets in the
// directory beside the database file. A message is a hint and nothing more:
// whoever gets one reads the file. A message that is lost costs the time until
// the file is looked at anyway.
//
// The form of a message: one byte for its kind, then attempt ids of 16 bytes
// each. A receiver takes a kind that it does not know, and a message without
// ids, for the hint to look at everything.

// A messageKind says what a message is about.
type messageKind byte

const (
	// lookAgain: something happened to these attempts.
	lookAgain messageKind = 'L'
	// withdrawn: these attempts were taken out of line by a Release.
	withdrawn messageKind = 'W'
)

// maxIDs keeps a message within the 2 KiB that every system takes.
const maxIDs = 64

// An addressee gets messages.
type addressee struct {
	addr string
	kind messageKind
}

// An outbox is what is to be sent.
type outbox map[addressee][]driver.LeaseID

func (o *outbox) add(to addressee, id driver.LeaseID) {
	if to.addr == "" {
		return // It looks by itself.
	}
	if *o == nil {
		*o = make(outbox)
	}
	(*o)[to] = append((*o)[to], id)
}

func encodeMessage(kind messageKind, ids []driver.LeaseID) []byte {
	message := make([]byte, 1, 1+len(ids)*len(driver.LeaseID{}))
	message[0] = byte(kind)
	for i := range ids {
		message = append(message, ids[i][:]...)
	}
	return message
}

// decodeMessage returns no ids for a message that is about everything.
func decodeMessage(message []byte) (kind messageKind, ids []driver.LeaseID) {
	const size = len(driver.LeaseID{})
	if len(message) < 1+size || (len(message)-1)%size != 0 {
		return lookAgain, nil
	}
	kind = messageKind(message[0])
	if kind != lookAgain && kind != withdrawn {
		return lookAgain, nil
	}
	for rest := message[1:]; len(rest) > 0; rest = rest[size:] {
		ids = append(ids, driver.LeaseID(rest[:size]))
	}
	return kind, ids
}

// goodAddr reports whether addr has the form of an address: the random name of
// a socket. Others, whoever wrote them, never become part of a path.
func goodAddr(addr string) bool {
	if len(addr) != addrLen {
		return false
	}
	for _, c := range []byte(addr) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// addrLen is the length of an address, in hexadecimal digits.
const addrLen = 24
