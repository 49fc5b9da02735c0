package redislock

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
)

// advice says, for the code of an answer by which Redis refuses a command, what it
// means and what to do. Redis checks these before a command runs, and before a
// script begins to write: nothing was changed.
var advice = map[string]string{
	"READONLY":    "this server is a replica: wait for the failover to end, or name the primary in the URL",
	"LOADING":     "the server is reading its data from disk: wait until it is done",
	"OOM":         "the server is out of memory: raise maxmemory or free some; leases that are held can still be renewed",
	"MISCONF":     "the server cannot save its data and takes no writes: look at its log and its disk",
	"NOAUTH":      "the server wants a password: give user and password",
	"WRONGPASS":   "user or password is wrong",
	"NOPERM":      noRights,
	"CLUSTERDOWN": "the cluster does not serve this key now: wait for its failover, or look at CLUSTER INFO",
	"TRYAGAIN":    "the key's slot is on the move to another node: wait until it is done",
	"MASTERDOWN":  "this replica has lost its primary: wait for the failover to end",
	"NOREPLICAS":  "too few replicas are connected for min-replicas-to-write: look at the replicas",
	"BUSY":        "a script of somebody else's blocks the server: wait, or end it with SCRIPT KILL",
	"MOVED":       inCluster,
	"ASK":         inCluster,
	"CROSSSLOT":   inCluster,
	"NOPROTO":     "the server does not speak RESP3: it takes Redis 7.0 or later, or Valkey",
	"DENIED":      "the server is in protected mode: set a password, or bind it to the address that is used",
	"STILEFORMAT": "another version of stile wrote the lock's records: use one version, or wait until they are gone",
}

const (
	noRights  = "the user may not do this: give it the rights that docs/stores/redis.md names"
	inCluster = "the key is at another node: use redis+cluster:// for a Cluster; with that, wait until its nodes agree about the slot"
)

// phrases are advice for answers whose code is a mere ERR.
var phrases = []struct{ part, meaning string }{
	{"max number of clients reached", "the server takes no more connections: raise maxclients, or close some"},
	{"without any password configured", "the server has no password: give none in the URL"},
	{"DB index is out of range", "the server has no database of that number: check the path of the URL"},
	{"SELECT is not allowed in cluster mode", "a Cluster has database 0 only"},
	{"No such master with that name", "the Sentinels know no primary of that name: check the name behind the hosts"},
	{"unknown command", "the server lacks a command: it takes Redis 7.0 or later, or Valkey"},
}

// deniedInScript is how Redis refuses a command within a script to a user without
// the right to it. What the script wrote before stays.
const deniedInScript = "The user executing the script can't run this command or subcommand"

// isRedis reports whether err is an answer of Redis with that code.
func isRedis(err error, code string) bool {
	refused, is := rueidis.IsRedisErr(err)
	return is && codeOf(refused.Error()) == code
}

// codeOf is the first word of an answer.
func codeOf(text string) string {
	code, _, _ := strings.Cut(text, " ")
	return code
}

// answered reports whether the store has answered a command: done or lost.
func answered(err error) bool { return err == nil || errors.Is(err, driver.ErrLost) }

// explain turns an error of the client into one of package driver, from which the
// client's stays reachable. lock is the name of the lock's key in Redis.
func (d *Driver) explain(ctx context.Context, lock string, err error) error {
	switch {
	case errors.Is(err, driver.ErrClosed), errors.Is(err, driver.ErrUnavailable):
		return err
	case errors.Is(err, rueidis.ErrClosing):
		if d.isShut() {
			return closedUnder()
		}
		// Nor is every client closed that says so: one that follows a failover closes
		// the connection to the old primary under the commands that are on it.
		return fmt.Errorf("%w: the connection was closed before redis answered: %w", driver.ErrAmbiguous, err)
	}
	if _, is := rueidis.IsRedisErr(err); is {
		return refusal(err, lock)
	}
	if d.isShut() {
		return closedUnder() // Close has cut the connections.
	}
	ended := endOf(ctx)
	switch {
	case unsent(err) && ended != nil:
		return fmt.Errorf("%w: connect to redis: %w", driver.ErrUnavailable, ended)
	case ended != nil:
		return fmt.Errorf("%w: %w", driver.ErrAmbiguous, ended)
	case unsent(err) && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return fmt.Errorf("%w: connect to redis: %sit took too long", driver.ErrUnavailable, dialAdvice(err)) // Another's context.
	case unsent(err):
		return fmt.Errorf("%w: connect to redis: %s%w", driver.ErrUnavailable, dialAdvice(err), err)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		// Another's context: the command that opened the connection has ended.
		return fmt.Errorf("%w: redis did not answer in time", driver.ErrAmbiguous)
	}
	return fmt.Errorf("%w: redis did not answer: %w", driver.ErrAmbiguous, err)
}

// closedUnder is the error of a command that was under way when the driver closed.
func closedUnder() error {
	return fmt.Errorf("%w before redis answered: %w", driver.ErrClosed, driver.ErrAmbiguous)
}

// endOf is ctx.Err(), and the same for a deadline that has passed and whose timer
// is late: a connection has a timer of its own for it.
func endOf(ctx context.Context) error {
	if deadline, has := ctx.Deadline(); has && ctx.Err() == nil && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// isTLS reports whether err is that the other side has broken off TLS.
func isTLS(err error) bool {
	var alert tls.AlertError
	return errors.As(err, &alert) || err != nil && strings.Contains(err.Error(), "remote error: tls:")
}

// unsent reports whether err is that there is no connection.
func unsent(err error) bool {
	var own *dialError
	var op *net.OpError
	var untrusted *tls.CertificateVerificationError
	return errors.As(err, &own) || errors.As(err, &op) && op.Op == "dial" || errors.As(err, &untrusted) ||
		errors.Is(err, rueidis.ErrNoAddr) || errors.Is(err, rueidis.ErrNoSlot)
}

// dialAdvice says what may be wrong when there is no connection.
func dialAdvice(err error) string {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var header tls.RecordHeaderError
	var name *net.DNSError
	switch {
	case errors.As(err, &unknown):
		return "the server's certificate is of an unknown authority: name the file of its authorities with ca: "
	case errors.As(err, &host):
		return "the server's certificate is for another name: say which with server_name: "
	case errors.As(err, &header):
		return "the server does not speak TLS at this port: "
	case errors.As(err, &name):
		return "check the host: "
	case strings.Contains(err.Error(), "tls: certificate required"):
		return "the server wants a client's certificate: name its files with cert and key: "
	case isTLS(err):
		return "the server has broken off TLS, mostly for the client's certificate: check cert and key: "
	}
	return "is the server up, and are host, port and TLS right? "
}

// refusal turns an answer of Redis that is an error into one of package driver.
func refusal(err error, lock string) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "WRONGTYPE"):
		return fmt.Errorf("%w: redis has a value of another type under the name %q, and nothing was changed: choose another key or prefix: %w", driver.ErrInvalidKey, lock, err)
	case strings.Contains(text, deniedInScript):
		return fmt.Errorf("%w: %s: %w", driver.ErrAmbiguous, noRights, err)
	}
	if meaning := meaningOf(text); meaning != "" {
		return fmt.Errorf("%w: %s: %w", driver.ErrUnavailable, meaning, err)
	}
	return fmt.Errorf("%w: redis refuses: %w", driver.ErrUnavailable, err)
}

// meaningOf finds the advice for an answer. What a command within a script was
// answered may come with other words around it.
func meaningOf(text string) string {
	if meaning, known := advice[codeOf(text)]; known {
		return meaning
	}
	for _, p := range phrases {
		if strings.Contains(text, p.part) {
			return p.meaning
		}
	}
	for word := range strings.FieldsSeq(text) {
		if meaning, known := advice[strings.Trim(word, "-:")]; known {
			return meaning
		}
	}
	return ""
}
