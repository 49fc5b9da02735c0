package zklock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
)

const (
	// closeLimit bounds what is under way when the driver closes.
	closeLimit = 2 * time.Second
	// withdrawWait is how long a call whose context has ended waits until its
	// attempt is out of line. After that it goes on without the caller.
	withdrawWait = 500 * time.Millisecond
)

// A Driver keeps locks in ZooKeeper. It implements [driver.Driver] and
// [driver.Nudger], and is safe for concurrent use.
type Driver struct {
	options  Options
	acl      []zk.ACL
	sessions *sessions

	life     context.Context //nolint:containedctx // It ends with Close, and all that the driver does with it.
	end      context.CancelFunc
	work     sync.WaitGroup // attempts
	isClosed chan struct{}

	mu       sync.Mutex
	closed   bool
	closing  chan struct{} // closed when Close is called
	attempts map[driver.LeaseID]*attempt
	nudges   map[driver.LeaseID][]*nudge
}

var (
	_ driver.Driver = (*Driver)(nil)
	_ driver.Nudger = (*Driver)(nil)
)

// New returns a driver over the servers of one ensemble, each HOST or HOST:PORT.
// opts may be nil. It does not speak to the servers yet. It returns
// driver.ErrInvalid for servers and options that can never work.
func New(servers []string, opts *Options) (*Driver, error) {
	if opts == nil {
		opts = &Options{}
	}
	options, err := opts.checked()
	if err != nil {
		return nil, err
	}
	addresses, err := checkServers(servers)
	if err != nil {
		return nil, err
	}
	d := &Driver{
		options: options, acl: options.acl(), isClosed: make(chan struct{}), closing: make(chan struct{}),
		attempts: map[driver.LeaseID]*attempt{}, nudges: map[driver.LeaseID][]*nudge{},
	}
	d.life, d.end = context.WithCancel(context.Background()) //nolint:forbidigo // It ends with Close.
	d.sessions = &sessions{
		config: zk.Config{Servers: addresses, TLS: options.TLS, Auth: options.auth()}, tick: options.Tick,
		life: d.life, byTTL: map[time.Duration]*slot{}, past: map[int64]bool{},
	}
	return d, nil
}

// usualTTL is that of leases whose user does not choose.
const usualTTL = 15 * time.Second

// look opens a session, to see that the servers are there: the one that most
// leases need.
func (d *Driver) look(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	it, err := d.sessions.get(ctx, usualTTL)
	if errors.Is(err, driver.ErrInvalid) {
		it, err = d.sessions.get(ctx, 0)
	}
	if err != nil {
		return err
	}
	it.give()
	return nil
}

// Capabilities implements [driver.Driver].
func (d *Driver) Capabilities() driver.Capabilities {
	return driver.Capabilities{MinTTL: time.Millisecond, MaxTTL: min(driver.MaxTTL, longestTimeout/2), Lacks: map[driver.Capability]string{
		driver.CapMinHold:     "a node cannot outlive its holder's session by a time",
		driver.CapTokenBlocks: "the token is the number of a transaction, and there is one",
		driver.CapTTL:         "a lease's TTL is its session's, which does not change",
		driver.CapAdopt:       "a lease belongs to the session of the process that took it",
	}}
}

// folder is the node of a key.
func (d *Driver) folder(key string) string { return d.options.Root + "/" + escape(key) }

// enter begins a call.
func (d *Driver) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return driver.ErrClosed
	}
	return nil
}

// attempt returns what is known of an attempt here, or nil.
func (d *Driver) attempt(id driver.LeaseID) *attempt {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.attempts[id]
}

// Close implements [driver.Driver].
func (d *Driver) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		<-d.isClosed
		return nil
	}
	d.closed = true
	close(d.closing)
	waiting := make([]*attempt, 0, len(d.attempts))
	for _, a := range d.attempts {
		waiting = append(waiting, a)
	}
	d.mu.Unlock()
	defer close(d.isClosed)
	ctx, cancel := context.WithTimeout(d.life, closeLimit)
	defer cancel()
	for _, a := range waiting {
		a.stop(driver.ErrClosed)
	}
	held := map[*zk.Session]bool{}
	for _, a := range waiting {
		select {
		case <-a.done:
		case <-ctx.Done():
		}
		if s := a.heldIn(); s != nil {
			held[s] = true
		}
	}
	d.sessions.close(ctx, func(s *zk.Session) bool { return held[s] })
	d.end()
	d.work.Wait()
	d.sessions.work.Wait()
	d.sessions.dropAll()
	return nil
}
