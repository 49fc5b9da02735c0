package zklock

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
)

// advice says what to do about an answer by which the servers refuse.
var advice = map[zk.Code]string{
	zk.NoAuth:        "the user has no rights to the node: give user and password, or look at the ACL of the root",
	zk.AuthFailed:    "user or password is refused",
	zk.InvalidACL:    "the servers do not take the ACL: give user and password, or acl=open",
	zk.QuotaExceeded: "the quota of the root is used up: raise it, or look for what fills it",
	zk.Throttled:     "the servers are overloaded: try later",
	zk.Unimplemented: "the servers are older than ZooKeeper 3.5: use newer ones",
}

// explain turns an error of the client into one of package driver, from which the
// client's stays reachable.
func explain(err error) error {
	var code zk.Code
	switch {
	case err == nil:
		return nil
	case errors.Is(err, driver.ErrUnavailable), errors.Is(err, driver.ErrClosed), errors.Is(err, driver.ErrInvalid), errors.Is(err, driver.ErrLost):
		return err
	case errors.Is(err, zk.ErrUnknown):
		return fmt.Errorf("%w: %w", driver.ErrAmbiguous, err)
	case errors.As(err, &code) && advice[code] != "":
		return fmt.Errorf("%w: %s: %w", driver.ErrUnavailable, advice[code], err)
	default:
		return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
}

// refusedAtOpen explains why there is no session.
func refusedAtOpen(err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var header tls.RecordHeaderError
	var name *net.DNSError
	what := ""
	switch {
	case errors.As(err, &unknown):
		what = "the server's certificate is of an unknown authority: name the file of its authorities with ca: "
	case errors.As(err, &host):
		what = "the server's certificate is for another name: say which with server_name: "
	case errors.As(err, &header):
		what = "the server does not speak TLS at this port: "
	case errors.As(err, &name):
		what = "check the host: "
	case errors.Is(err, zk.AuthFailed):
		what = advice[zk.AuthFailed] + ": "
	case errors.Is(err, context.DeadlineExceeded):
		what = "no server answers in time: are the hosts, ports and TLS right, and is there a majority? "
	}
	return fmt.Errorf("%w: %s%w", driver.ErrUnavailable, what, err)
}
