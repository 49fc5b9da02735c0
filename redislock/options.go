package redislock

import (
	"context"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
)

// Defaults of Options.
const (
	// DefaultPrefix stands before each key unless Options say otherwise.
	DefaultPrefix = "lock:"
	// DefaultRetention is how long an idle key is remembered unless Options
	// say otherwise.
	DefaultRetention = time.Hour
)

// Bounds of Options.
const (
	minRetention  = time.Second
	maxRetention  = 366 * 24 * time.Hour
	longestPrefix = 512 // bytes, as a key's
)

// Options are how a driver uses a server. The zero value is good for most.
// Programs that are to exclude each other need the same prefix.
type Options struct {
	// Prefix stands before each key in Redis: the lock "nightly" is the Redis
	// key "lock:nightly". At most 512 bytes of UTF-8 without control
	// characters. Empty means DefaultPrefix, unless NoPrefix is set.
	Prefix string
	// NoPrefix makes an empty Prefix mean what it says: locks stand under
	// their own names. It does not go with a Prefix.
	NoPrefix bool
	// Retention is how long a key that nobody uses is remembered: its last
	// token above all. After that it leaves nothing behind in Redis, and the
	// server's clock alone keeps tokens rising. At least 1 second, at most 366
	// days; 0 means DefaultRetention.
	Retention time.Duration
}

// checked returns the options with the defaults filled in.
func (o Options) checked() (Options, error) {
	switch {
	case o.Prefix != "" && o.NoPrefix:
		return o, fmt.Errorf("check options: %w: choose Prefix or NoPrefix", driver.ErrInvalid)
	case len(o.Prefix) > longestPrefix:
		return o, fmt.Errorf("check options: %w: the prefix has %d bytes, and at most %d are allowed", driver.ErrInvalid, len(o.Prefix), longestPrefix)
	case !printable(o.Prefix):
		return o, fmt.Errorf("check options: %w: the prefix must be UTF-8 without control characters", driver.ErrInvalid)
	case o.Retention == 0:
		o.Retention = DefaultRetention
	case o.Retention < minRetention || o.Retention > maxRetention:
		return o, fmt.Errorf("check options: %w: retention must be between %v and %v, got %v", driver.ErrInvalid, minRetention, maxRetention, o.Retention)
	}
	if o.Prefix == "" && !o.NoPrefix {
		o.Prefix = DefaultPrefix
	}
	return o, nil
}

func printable(text string) bool {
	for _, r := range text {
		if unicode.IsControl(r) {
			return false
		}
	}
	return utf8.ValidString(text)
}

// New returns a driver over a client that is there already. opts may be nil.
// It does not speak to the server, and Close does not close the client: close
// the driver first, then the client. It returns driver.ErrInvalid for a nil
// client and for options out of bounds.
//
// The server must be Redis 7.0 or later, or Valkey; New does not check that,
// opening by URL does. Of the client:
//
//   - Set DisableRetry. Then whatever breaks a subscription is known here at
//     once, and who waits asks what it missed. With retries of the client's own
//     it can take until the next look, a few seconds.
//   - Leave ConnLifetime at 0. A connection that ends by it may run a command
//     twice; a release that ran twice reports a lost lease.
//   - Leave SendToReplicas and ReplicaOnly alone: locks live on primaries.
//   - Dialer.KeepAlive and ConnWriteTimeout are how a connection that has gone
//     silent is found out; with a client of its own the driver closes it
//     sooner, as soon as a command has timed out on it. The defaults find it
//     after about 11 s. Leases with a shorter TTL do not outlive it.
//   - PipelineMultiplex -1 has the commands of one client run in the order in
//     which they were sent. The driver does not depend on it; it saves work.
//   - With Sentinel, set Sentinel.TopologyRefreshInterval to a few seconds, for
//     the case that news of a failover is lost.
//   - RESP3 is not needed (AlwaysRESP2); without it, waiting takes a second
//     connection.
//   - Client-side caching is not used, and may be off (DisableCache).
func New(client rueidis.Client, opts *Options) (*Driver, error) {
	if client == nil {
		return nil, fmt.Errorf("use redis client: %w: it is nil", driver.ErrInvalid)
	}
	if opts == nil {
		opts = &Options{}
	}
	options, err := opts.checked()
	if err != nil {
		return nil, err
	}
	d := &Driver{client: client, prefix: options.Prefix, retention: options.Retention, isClosed: make(chan struct{})}
	d.cluster = client.Mode() == rueidis.ClientModeCluster
	d.closing, d.close = context.WithCancel(context.Background()) //nolint:forbidigo // It ends with Close.
	d.ears = newEars(d.closing, client, d.cluster)
	return d, nil
}
