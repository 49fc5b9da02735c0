package redislock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
)

const (
	// openLimit bounds the opening of a store whose caller has more patience.
	openLimit = 10 * time.Second
	// dialLimit bounds one connection: the way to the server, and once more
	// the greeting. A lost packet is sent again after 1 s and after 3 s.
	dialLimit = 4 * time.Second
	// pingAfter is how long a connection is silent before the client looks
	// whether it lives. Each look is a command on the server.
	pingAfter = 10 * time.Second
	// answerLimit is how long a look, and a command whose context does not
	// end, waits. A script of somebody else's may block Redis for 5 s
	// (busy-reply-threshold) before it says BUSY.
	answerLimit = 10 * time.Second
	// flushDelay is how long requests are gathered when there is a crowd. Who
	// is alone is not delayed.
	flushDelay = 20 * time.Microsecond
	// sentinelRefresh is how often the Sentinels are asked who is primary, in
	// case their message was lost. A primary that was demoted keeps its
	// connections; nothing else would tell.
	sentinelRefresh = 5 * time.Second
	// mostRedirects ends a tour among nodes that disagree about a slot.
	mostRedirects = 16
	// oldest is the first major version of Redis whose SET takes NX with GET,
	// and that has channels for each slot.
	oldest = 7
)

func init() {
	for scheme := range forms {
		driver.Register(scheme, open)
	}
}

// open opens the store of a URL. The package documentation of driver says what
// an opener keeps to; docs/stores/redis.md describes the URLs.
func open(ctx context.Context, u *url.URL, query *driver.Query) (driver.Driver, error) {
	at, err := readURL(u, query)
	if err != nil {
		return nil, err
	}
	option, err := at.clientOption()
	if err != nil {
		return nil, err
	}
	all := newConns()
	option.DialCtxFn = all.dial
	client, err := connect(ctx, option, all)
	if err != nil {
		return nil, err
	}
	d, err := at.newDriver(ctx, client)
	if err != nil {
		all.cut()
		client.Close()
		return nil, err // Not a typed nil.
	}
	d.conns = all
	return d, nil
}

// clientOption is how the client is set.
//
// DisableRetry: package stile decides what is sent again. With it the client
// sends a command twice in one case only, when the answer was MOVED or ASK: then
// the first has done nothing. A command that was on a connection when it broke
// is reported, never sent again.
//
// AlwaysPipelining, but for one server without Sentinels: else a command that is
// alone reads its answer itself, which spares it two changes of goroutine. It
// does not hear then when its context is cancelled, for which there is
// conns.heed, and its deadline ends the connection; those who queue behind it
// have not been sent. Where subscriptions share a connection with commands there
// is nothing to be won.
//
// PipelineMultiplex -1: one connection to each server, so commands run in the
// order in which they were sent, and many together take one system call.
//
// DisableCache and DisableClientSetInfo: CLIENT TRACKING and CLIENT SETINFO are
// not used, and a user with the least rights may not run them.
func (a *address) clientOption() (rueidis.ClientOption, error) {
	config, err := a.tls.config(a.scheme == schemeTLS)
	if err != nil {
		return rueidis.ClientOption{}, err
	}
	dialer := net.Dialer{Timeout: dialLimit, KeepAlive: pingAfter}
	option := rueidis.ClientOption{
		InitAddress: a.hosts, Username: a.user, Password: a.password, SelectDB: a.database,
		TLSConfig: config, Dialer: dialer, ConnWriteTimeout: answerLimit,
		ClientName: "stile", ClientSetInfo: rueidis.DisableClientSetInfo, DisableCache: true, DisableRetry: true,
		AlwaysPipelining: a.scheme == schemeSentinel || a.scheme == schemeCluster, PipelineMultiplex: -1, MaxFlushDelay: flushDelay,
		// 512 requests under way, and a request is about 300 bytes. The client's own defaults take 1 MiB for each connection.
		RingScaleEachConn: 9, ReadBufferEachConn: 1 << 16, WriteBufferEachConn: 1 << 16,
		ClusterOption: rueidis.ClusterOption{MaxMovedRedirections: mostRedirects},
	}
	switch a.scheme {
	case schemeSentinel:
		// The server's password is not shown to the Sentinels: they have their own, or none.
		option.Sentinel = rueidis.SentinelOption{
			MasterSet: a.master, Username: a.sentinelUser, Password: a.sentinelPassword, ClientName: option.ClientName,
			Dialer: dialer, TLSConfig: config, TopologyRefreshInterval: sentinelRefresh,
		}
	case schemeCluster:
	default:
		option.ForceSingleClient = true // Else the client asks whether it is a Cluster.
	}
	return option, nil
}

// connect makes a client. The library takes no context for that, so it runs
// beside; when ctx ends, its connections are cut, and it ends at once.
func connect(ctx context.Context, option rueidis.ClientOption, all *conns) (rueidis.Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to redis: %w: %w", driver.ErrUnavailable, err)
	}
	bounded, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	var client rueidis.Client
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		client, err = rueidis.NewClient(option)
	}()
	late := false
	select {
	case <-done:
	case <-bounded.Done():
		late = true
		all.cut()
		<-done
	}
	if err == nil && !late {
		return client, nil
	}
	all.cut()
	if client != nil {
		client.Close()
	}
	switch {
	case late && ctx.Err() != nil:
		return nil, fmt.Errorf("connect to redis: %w: %w before the server answered: check host and port, and what is between", driver.ErrUnavailable, ctx.Err())
	case late:
		return nil, fmt.Errorf("connect to redis: %w: the server did not answer within %v: check host and port, and what is between", driver.ErrUnavailable, openLimit)
	}
	return nil, refusedAtOpen(err)
}

// newDriver makes the driver when the server is one that it can use.
func (a *address) newDriver(ctx context.Context, client rueidis.Client) (*Driver, error) {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	if a.scheme == schemeCluster && client.Mode() != rueidis.ClientModeCluster {
		return nil, errNoCluster // The library has made do with the one server.
	}
	// HELLO without arguments changes nothing, and every user may run it.
	hello, err := client.Do(ctx, client.B().Arbitrary("HELLO").Build()).AsMap()
	if err != nil {
		return nil, refusedAtOpen(err)
	}
	word := func(name string) string {
		message := hello[name]
		text, _ := message.ToString()
		return text
	}
	if err := a.checkServer(word("version"), word("mode")); err != nil {
		return nil, err
	}
	return New(client, &a.options)
}

var errNoCluster = fmt.Errorf("connect to redis: %w: the server is no part of a Cluster: use redis:// for it", driver.ErrInvalid)

// checkServer says whether a server with this answer to HELLO is one that the
// URL means, and new enough. Valkey tells the version of Redis that it is like.
func (a *address) checkServer(version, mode string) error {
	switch {
	case mode == "sentinel":
		return fmt.Errorf("connect to redis: %w: the server is a Sentinel: write %s", driver.ErrInvalid, forms[schemeSentinel])
	case mode == "cluster" && a.scheme != schemeCluster:
		return fmt.Errorf("connect to redis: %w: the server is part of a Cluster: use %s:// for it", driver.ErrInvalid, schemeCluster)
	}
	first, _, _ := strings.Cut(version, ".")
	if major, err := strconv.Atoi(first); err != nil || major < oldest {
		return fmt.Errorf("connect to redis: %w: the server's version is %q: it takes Redis %d.0 or later, or Valkey", driver.ErrUnavailable, version, oldest)
	}
	return nil
}

// refusedAtOpen turns an error of opening into one of package driver. Nothing
// that matters was sent yet, so it is never ambiguous.
func refusedAtOpen(err error) error {
	text := err.Error()
	switch {
	case errors.Is(err, driver.ErrUnavailable):
		return err
	case strings.Contains(text, "cluster support disabled"):
		return errNoCluster
	}
	if _, is := rueidis.IsRedisErr(err); is {
		return fmt.Errorf("connect to redis: %w", refusal(err, ""))
	}
	return fmt.Errorf("connect to redis: %w: %s%w", driver.ErrUnavailable, atOpen(err), err)
}

// atOpen is advice for errors of the library that are no answer of Redis.
func atOpen(err error) string {
	switch {
	case rueidis.IsRedisNil(err):
		return "the Sentinels know no primary of that name: check the name behind the hosts: "
	case strings.Contains(err.Error(), "not master"):
		return "the server that the Sentinels name is no primary: wait for the failover to end: "
	case errors.Is(err, rueidis.ErrNoSlot):
		return "the Cluster has no node for the slot: look at CLUSTER INFO: "
	}
	return dialAdvice(err)
}
