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

// Defaults of Options.
const (
	DefaultPrefix    = "lock:"
	DefaultRetention = time.Hour
)

// Options are how a driver uses a server.
type Options struct {
	Prefix    string
	NoPrefix  bool
	Retention time.Duration
}

// New returns a driver over a client.
func New(client rueidis.Client, opts *Options) (*Driver, error) {
	if client == nil {
		return nil, fmt.Errorf("use redis client: %w: it is nil", driver.ErrInvalid)
	}
	if opts == nil {
		opts = &Options{}
	}
	d := &Driver{client: client, prefix: DefaultPrefix, retention: DefaultRetention, isClosed: make(chan struct{})}
	if opts.Prefix != "" || opts.NoPrefix {
		d.prefix = opts.Prefix
	}
	if opts.Retention != 0 {
		d.retention = opts.Retention
	}
	d.cluster = client.Mode() == rueidis.ClientModeCluster
	d.closing, d.close = context.WithCancel(context.Background()) //nolint:forbidigo // It ends with Close.
	d.ears = newEars(d.closing, client, d.cluster)
	return d, nil
}

func init() {
	for _, s := range []string{"redis", "rediss", "redis+sentinel", "redis+cluster"} {
		driver.Register(s, open)
	}
}

func open(ctx context.Context, u *url.URL, query *driver.Query) (driver.Driver, error) {
	opts := Options{Prefix: query.String("prefix", DefaultPrefix), Retention: query.Duration("retention", DefaultRetention)}
	opts.NoPrefix = opts.Prefix == ""
	c := rueidis.ClientOption{
		ClientName: "stile", DisableCache: true, DisableRetry: true, PipelineMultiplex: -1, RingScaleEachConn: 9,
		ReadBufferEachConn: 1 << 16, WriteBufferEachConn: 1 << 16, Dialer: net.Dialer{Timeout: 5 * time.Second, KeepAlive: 10 * time.Second},
		ConnWriteTimeout: 10 * time.Second, ForceSingleClient: u.Scheme == "redis" || u.Scheme == "rediss",
	}
	c.Username = u.User.Username()
	c.Password, _ = u.User.Password()
	for _, h := range strings.Split(u.Host, ",") {
		if _, _, err := net.SplitHostPort(h); err != nil {
			h = net.JoinHostPort(h, "6379")
		}
		c.InitAddress = append(c.InitAddress, h)
	}
	path := strings.Split(strings.Trim(u.Path, "/"), "/")
	if u.Scheme == "redis+sentinel" {
		c.Sentinel.MasterSet = path[0]
		path = path[1:]
	}
	if len(path) > 0 && path[0] != "" {
		n, err := strconv.Atoi(path[0])
		if err != nil {
			return nil, fmt.Errorf("%w: the path is the number of a database", driver.ErrInvalid)
		}
		c.SelectDB = n
	}
	if err := query.Err(); err != nil {
		return nil, err
	}
	cs := &conns{}
	c.DialCtxFn = cs.dial
	client, err := rueidis.NewClient(c)
	if err != nil {
		var oe *net.OpError
		if errors.As(err, &oe) {
			return nil, fmt.Errorf("%w: connect to redis: %w", driver.ErrUnavailable, err)
		}
		return nil, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	d, err := New(client, &opts)
	if err != nil {
		client.Close()
		return nil, err
	}
	d.conns = cs
	return d, nil
}
