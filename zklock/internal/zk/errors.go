package zk

import (
	"errors"
	"fmt"
)

var (
	// ErrNotSent is a request that has not left this process: it has no
	// effect, now or later.
	ErrNotSent = errors.New("request was not sent")
	// ErrUnknown is a request that was sent and not answered: whether it has
	// run is unknown. Once the session has another connection, a Check there is
	// answered after it has run, or it never will. When the session is over only
	// here, by its local end or a Drop, the request may run for as long as the
	// servers keep the session.
	ErrUnknown = errors.New("outcome is unknown")
	// ErrExpired is the end of a session that the servers know no more, or
	// that could not reach them for its timeout.
	ErrExpired = errors.New("session has expired")
	// ErrClosed is the end of a session that was closed or dropped here.
	ErrClosed = errors.New("session is closed")
)

// A Code is an error that a server answers. The request has had no effect.
type Code int32

// Codes that the locks have to know.
const (
	RuntimeInconsistency Code = -2
	Unimplemented        Code = -6
	BadArguments         Code = -8
	NoNode               Code = -101
	NoAuth               Code = -102
	BadVersion           Code = -103
	NoChildrenForEphe    Code = -108
	NodeExists           Code = -110
	NotEmpty             Code = -111
	SessionExpired       Code = -112
	InvalidACL           Code = -114
	AuthFailed           Code = -115
	SessionMoved         Code = -118
	NoWatcher            Code = -121
	QuotaExceeded        Code = -125
	Throttled            Code = -127
)

var codes = map[Code]string{
	RuntimeInconsistency: "the server's data is inconsistent", Unimplemented: "the server does not know this request",
	BadArguments: "bad arguments", NoNode: "no such node", NoAuth: "no rights to the node", BadVersion: "the node was changed",
	NoChildrenForEphe: "an ephemeral node has no children", NodeExists: "the node exists", NotEmpty: "the node has children",
	SessionExpired: "the session has expired", InvalidACL: "the access list is invalid", AuthFailed: "user or password is refused",
	SessionMoved: "the session has moved to another server", NoWatcher: "there is no such watch", QuotaExceeded: "the quota is used up",
	Throttled: "the server is overloaded",
}

// Error says what the code means.
func (c Code) Error() string {
	if text, known := codes[c]; known {
		return fmt.Sprintf("zookeeper: %s (%d)", text, int32(c))
	}
	return fmt.Sprintf("zookeeper: error %d", int32(c))
}
