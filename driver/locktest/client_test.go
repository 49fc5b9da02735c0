package locktest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/locktest"
)

// withdrawTime bounds the withdrawal of an attempt whose context has ended.
const withdrawTime = time.Second

var clients atomic.Int64

// A client is the driver that the suite is tried on.
type client struct {
	address string
	bug     string
	lacks   map[driver.Capability]string
	name    string
	gate    chan struct{} // for bugs that let one through at a time

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	cutOff atomic.Bool // a connection was lost

	mu       sync.Mutex // orders enter before Close
	closed   bool
	held     []driver.Hold
	metadata map[driver.LeaseID]map[string]string
}

var (
	_ driver.Driver = (*client)(nil)
	_ driver.Nudger = (*client)(nil)
)

// openURL opens testlock://HOST:PORT?bug=BUG&lacks=A,B.
func openURL(_ context.Context, rawURL string) (driver.Driver, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	return newClient(u.Host, u.Query().Get("bug"), u.Query().Get("lacks")), nil
}

func newClient(address, bug, lacks string) *client {
	c := &client{
		address: address, bug: bug, name: strconv.Itoa(os.Getpid()) + "." + strconv.FormatInt(clients.Add(1), 10),
		lacks: make(map[driver.Capability]string), gate: make(chan struct{}, 1), metadata: make(map[driver.LeaseID]map[string]string),
	}
	if lacks != "" {
		for _, capability := range strings.Split(lacks, ",") {
			c.lacks[driver.Capability(capability)] = "this test takes it away"
		}
	}
	c.ctx, c.cancel = context.WithCancel(context.Background()) // It ends with Close.
	return c
}

func (c *client) has(bug ...string) bool { return slices.Contains(bug, c.bug) }

// Capabilities implements [driver.Driver].
func (c *client) Capabilities() driver.Capabilities {
	lacks := maps.Clone(c.lacks)
	if capability, found := strings.CutPrefix(c.bug, "denies "); found {
		lacks[driver.Capability(capability)] = "so it says"
	}
	if c.has("lacks a reason") {
		lacks["no such thing"] = ""
	}
	return driver.Capabilities{Lacks: lacks}
}

// without refuses what the store lacks, with or without saying so.
func (c *client) without(capability driver.Capability, wanted bool) error {
	if _, lacks := c.lacks[capability]; wanted && (lacks || c.bug == "hides "+string(capability)) {
		return fmt.Errorf("%s: %w", capability, errors.ErrUnsupported)
	}
	return nil
}

// enter counts a call, so that Close can wait for it.
func (c *client) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil && !c.has("ignores ended contexts") {
		return fmt.Errorf("ask store: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed && !c.has("works after close") {
		return driver.ErrClosed
	}
	c.work.Add(1)
	return nil
}

// dial connects and sends. Its errors mean that nothing was sent.
func (c *client) dial(ctx context.Context, m *message) (net.Conn, error) {
	if c.has("never reconnects") && c.cutOff.Load() {
		return nil, driver.ErrUnavailable
	}
	dialing, cancel := context.WithCancel(ctx)
	defer cancel()
	if !c.has("works after close") {
		defer context.AfterFunc(c.ctx, cancel)()
	}
	conn, err := new(net.Dialer).DialContext(dialing, "tcp", c.address)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("dial store: %w: %w", driver.ErrUnavailable, ctx.Err())
	case err != nil && c.ctx.Err() != nil:
		return nil, driver.ErrClosed
	case err != nil:
		return nil, fmt.Errorf("dial store: %w: %w", driver.ErrUnavailable, err)
	}
	m.Client = c.name
	c.rename(m)
	if err := json.NewEncoder(conn).Encode(m); err != nil {
		_ = conn.Close()
		return nil, c.broken(ctx)
	}
	return conn, nil
}

// rename makes stores or attempts private, where a bug wants it.
func (c *client) rename(m *message) {
	switch {
	case c.has("a store for each process") && os.Getenv(locktest.ChildVariable) != "":
		prefix := strconv.Itoa(os.Getpid()) + " "
		m.Request.Key, m.Hold.Key = prefix+m.Request.Key, prefix+m.Hold.Key
	case c.has("a store for each client"):
		m.Request.Key, m.Hold.Key = c.name+" "+m.Request.Key, c.name+" "+m.Hold.Key
		m.Prefix = c.name + " " + m.Prefix
	case c.has("ids count for one client"):
		for i := range min(len(c.name), 8) {
			m.Request.ID[i] ^= c.name[len(c.name)-1-i]
			m.Hold.ID[i] ^= c.name[len(c.name)-1-i]
		}
	}
}

// broken is the error of a connection that ended after something was sent.
func (c *client) broken(ctx context.Context) error {
	c.cutOff.Store(true)
	switch {
	case c.has("unreachable is lost"):
		return driver.ErrLost
	case c.has("ambiguous is not said"):
		return driver.ErrUnavailable
	case c.ctx.Err() != nil:
		return fmt.Errorf("%w: %w", driver.ErrClosed, driver.ErrAmbiguous)
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", driver.ErrAmbiguous, ctx.Err())
	default:
		return fmt.Errorf("read reply: %w", driver.ErrAmbiguous)
	}
}

// do sends a message and awaits its reply.
func (c *client) do(ctx context.Context, m *message) (reply, error) {
	if err := c.enter(ctx); err != nil {
		return reply{}, err
	}
	defer c.work.Done()
	if c.has("lists under a lock") {
		select {
		case c.gate <- struct{}{}:
			defer func() { <-c.gate }()
		case <-ctx.Done():
			return reply{}, ctx.Err()
		}
	}
	if c.has("ignores ended contexts") {
		ctx = context.WithoutCancel(ctx)
	}
	conn, err := c.dial(ctx, m)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = conn.Close() }()
	if !c.has("deaf to contexts") {
		defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	}
	if !c.has("works after close") {
		defer context.AfterFunc(c.ctx, func() { _ = conn.Close() })()
	}
	var r reply
	if err := json.NewDecoder(conn).Decode(&r); err != nil {
		return reply{}, c.broken(ctx)
	}
	return r, r.err()
}
