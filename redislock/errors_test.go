package redislock

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// newTestDriver returns a driver over a client of the library's own settings.
func newTestDriver(t *testing.T, s *redistest.Server, change func(*rueidis.ClientOption)) *Driver {
	t.Helper()
	option := rueidis.ClientOption{InitAddress: []string{s.Addr}, DisableCache: true, ForceSingleClient: true}
	if change != nil {
		change(&option)
	}
	client, err := rueidis.NewClient(option)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	d, err := New(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// TestAnswersOfRedis classifies error answers as a real server sends them: a
// script makes it say whatever is wanted.
func TestAnswersOfRedis(t *testing.T) {
	t.Parallel()
	d := newTestDriver(t, redistest.Start(t), nil)
	for _, c := range []struct {
		answer string
		want   error
		says   string
	}{
		{"READONLY You can't write against a read only replica.", driver.ErrUnavailable, "name the primary"},
		{"READONLY You can't write against a read only replica. script: 1f, on @user_script:1.", driver.ErrUnavailable, "name the primary"},
		{"LOADING Redis is loading the dataset in memory", driver.ErrUnavailable, "wait until it is done"},
		{"OOM command not allowed when used memory > 'maxmemory'.", driver.ErrUnavailable, "maxmemory"},
		{"MISCONF Redis is configured to save RDB snapshots, but", driver.ErrUnavailable, "disk"},
		{"NOAUTH Authentication required.", driver.ErrUnavailable, "password"},
		{"WRONGPASS invalid username-password pair or user is disabled.", driver.ErrUnavailable, "password is wrong"},
		{"NOPERM User app has no permissions to run the 'evalsha' command", driver.ErrUnavailable, "rights"},
		{"CLUSTERDOWN Hash slot not served", driver.ErrUnavailable, "CLUSTER INFO"},
		{"TRYAGAIN Multiple keys request during rehashing of slot", driver.ErrUnavailable, "slot"},
		{"MASTERDOWN Link with MASTER is down", driver.ErrUnavailable, "failover"},
		{"NOREPLICAS Not enough good replicas to write.", driver.ErrUnavailable, "min-replicas-to-write"},
		{"BUSY Redis is busy running a script.", driver.ErrUnavailable, "SCRIPT KILL"},
		{"MOVED 3999 127.0.0.1:6381", driver.ErrUnavailable, "redis+cluster://"},
		{"ASK 3999 127.0.0.1:6381", driver.ErrUnavailable, "redis+cluster://"},
		{"CROSSSLOT Keys in request don't hash to the same slot", driver.ErrUnavailable, "redis+cluster://"},
		{"DENIED Redis is running in protected mode", driver.ErrUnavailable, "protected"},
		{"ERR max number of clients reached", driver.ErrUnavailable, "maxclients"},
		{"ERR DB index is out of range", driver.ErrUnavailable, "path of the URL"},
		{"ERR unknown command 'EVALSHA'", driver.ErrUnavailable, "7.0"},
		{"ERR Error running script: OOM command not allowed", driver.ErrUnavailable, "maxmemory"},
		{"ERR something new", driver.ErrUnavailable, "redis refuses"},
		{"ERR The user executing the script can't run this command or subcommand script: 1f", driver.ErrAmbiguous, "rights"},
		{"WRONGTYPE Operation against a key holding the wrong kind of value", driver.ErrInvalidKey, `"lock:k"`},
	} {
		refused := d.client.Do(t.Context(), d.client.B().Eval().Script("return redis.error_reply(ARGV[1])").Numkeys(0).Arg(c.answer).Build()).Error()
		text := strings.TrimPrefix(c.answer, "ERR ") // So does the library.
		if refused == nil || refused.Error() != text {
			t.Fatalf("the server says %v; want %q", refused, text)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for _, ctx := range []context.Context{t.Context(), ended} { // An answer counts more than that nobody waits for it.
			err := d.explain(ctx, "lock:k", refused)
			if !errors.Is(err, c.want) || errors.Is(err, driver.ErrAmbiguous) != errors.Is(c.want, driver.ErrAmbiguous) {
				t.Errorf("%q is %v; want %v", c.answer, err, c.want)
			}
			var cause *rueidis.RedisError
			if !strings.Contains(err.Error(), c.says) || !errors.As(err, &cause) || cause.Error() != text {
				t.Errorf("%q is told as %q; want %q in it, and the answer", c.answer, err, c.says)
			}
		}
	}
	noscript := d.client.Do(t.Context(), d.client.B().Evalsha().Sha1(strings.Repeat("0", 40)).Numkeys(0).Build()).Error()
	if !isRedis(noscript, "NOSCRIPT") || isRedis(noscript, "NO") || isRedis(errors.New("NOSCRIPT"), "NOSCRIPT") {
		t.Errorf("an unknown script is answered by %v", noscript)
	}
}

// TestErrorsOfTheClient classifies what the library says without an answer.
func TestErrorsOfTheClient(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	d := newTestDriver(t, s, nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name      string
		ctx       context.Context
		err       error
		is, isNot []error
	}{
		{"closed driver", t.Context(), driver.ErrClosed, []error{driver.ErrClosed}, []error{driver.ErrUnavailable}},
		{"closed connection", t.Context(), rueidis.ErrClosing, []error{driver.ErrAmbiguous}, []error{driver.ErrClosed}},
		{"no answer", t.Context(), errors.New("EOF"), []error{driver.ErrAmbiguous}, nil},
		{"own context", ended, context.Canceled, []error{driver.ErrAmbiguous, context.Canceled}, nil},
		{"another's context", t.Context(), context.Canceled, []error{driver.ErrAmbiguous}, []error{context.Canceled}},
		{"no connection", t.Context(), &dialError{errors.New("x")}, []error{driver.ErrUnavailable}, []error{driver.ErrAmbiguous}},
		{"no connection in time", ended, &dialError{errors.New("x")}, []error{driver.ErrUnavailable, context.Canceled}, []error{driver.ErrAmbiguous}},
		{"another's connection", t.Context(), &dialError{context.Canceled}, []error{driver.ErrUnavailable}, []error{driver.ErrAmbiguous, context.Canceled}},
		{"no node", t.Context(), rueidis.ErrNoSlot, []error{driver.ErrUnavailable}, []error{driver.ErrAmbiguous}},
	} {
		err := d.explain(c.ctx, "lock:k", c.err)
		for _, want := range c.is {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v is no %v", c.name, err, want)
			}
		}
		for _, not := range c.isNot {
			if errors.Is(err, not) {
				t.Errorf("%s: %v is %v", c.name, err, not)
			}
		}
	}
}

func TestDialAdvice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		says string
	}{
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}, "check the host"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "ca"},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}}, "server_name"},
		{tls.RecordHeaderError{}, "does not speak TLS"},
		{tls.AlertError(42), "cert and key"},
		{errors.New("connection refused"), "is the server up"},
	} {
		if got := dialAdvice(&dialError{c.err}); !strings.Contains(got, c.says) {
			t.Errorf("%v: the advice is %q; want %q in it", c.err, got, c.says)
		}
	}
}
