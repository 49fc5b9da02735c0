package zklock

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
)

// Defaults of Options.
const (
	// DefaultRoot is the node below which locks are kept.
	DefaultRoot = "/locks"
	// DefaultTick is ZooKeeper's own default of tickTime.
	DefaultTick = 2 * time.Second
)

// Options are how a driver uses an ensemble. The zero value is good for most.
// Programs that are to exclude each other need the same root.
type Options struct {
	// Root is the path of the node below which locks are kept: "/locks" unless
	// given. It is made if it is not there.
	Root string
	// Tick is the servers' tickTime; 0 means DefaultTick. A follower tells the
	// leader only now and then which sessions it has heard of. If it dies in
	// between, the leader counts from before: so the timeout of a session is
	// asked as 6/5 of TTL and one and a half ticks.
	Tick time.Duration
	// TLS encrypts connections. A ServerName that is empty is each server's own
	// name. Nil: no TLS.
	TLS *tls.Config
	// User and Password are shown to the servers by the scheme digest. What the
	// driver makes then belongs to that user alone, unless OpenACL is set.
	User, Password string
	// OpenACL gives everybody all rights to what the driver makes. It goes
	// without saying when there is no User.
	OpenACL bool
}

const maxTick = time.Minute

// checked returns the options with the defaults filled in.
func (o Options) checked() (Options, error) {
	if o.Tick == 0 {
		o.Tick = DefaultTick
	}
	if o.Root == "" {
		o.Root = DefaultRoot
	}
	switch {
	case o.Tick < time.Millisecond || o.Tick > maxTick:
		return o, fmt.Errorf("check options: %w: tick must be between 1ms and %v, got %v", driver.ErrInvalid, maxTick, o.Tick)
	case (o.User == "") != (o.Password == ""):
		return o, fmt.Errorf("check options: %w: user and password go together", driver.ErrInvalid)
	case strings.Contains(o.User, ":"):
		return o, fmt.Errorf("check options: %w: a user's name has no colon in ZooKeeper", driver.ErrInvalid)
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(o.Root, "/"), "/") {
		if o.Root[0] != '/' || part == "" || part == "." || part == ".." || strings.ContainsFunc(part, func(r rune) bool { return r != '%' && !plain(r) }) {
			return o, fmt.Errorf("check options: %w: the root must be a path such as /locks or /apps/billing, without a slash at its end", driver.ErrInvalid)
		}
	}
	return o, nil
}

func (o *Options) auth() []zk.Auth {
	if o.User == "" {
		return nil
	}
	return []zk.Auth{{Scheme: "digest", Data: []byte(o.User + ":" + o.Password)}}
}

// everything is all of ZooKeeper's rights to a node.
const everything = 31

func (o *Options) acl() []zk.ACL {
	if o.User == "" || o.OpenACL {
		return []zk.ACL{{Perms: everything, Scheme: "world", ID: "anyone"}}
	}
	return []zk.ACL{{Perms: everything, Scheme: "auth"}}
}

// checkServers returns the servers with their ports.
func checkServers(list []string) ([]string, error) {
	var servers []string
	for _, server := range list {
		host, port, err := net.SplitHostPort(server)
		if err != nil {
			host, port = strings.TrimSuffix(strings.TrimPrefix(server, "["), "]"), "2181"
		}
		if host == "" || port == "" || strings.ContainsAny(host, "[]/ ") {
			return nil, fmt.Errorf("check servers: %w: want HOST or HOST:PORT for each", driver.ErrInvalid)
		}
		servers = append(servers, net.JoinHostPort(host, port))
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("check servers: %w: name at least one", driver.ErrInvalid)
	}
	return servers, nil
}
