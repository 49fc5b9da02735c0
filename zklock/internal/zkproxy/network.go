package zkproxy

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stilelock/stile/driver/locktest"
)

// A Network is the way of one client to all servers. It is safe for concurrent
// use.
type Network struct {
	work sync.WaitGroup

	mu       sync.Mutex
	changed  *sync.Cond // of what follows
	proxies  map[string]net.Listener
	conns    map[*link]struct{}
	rules    []*Rule
	counts   map[Op]int
	sessions []Session // the latest last
	cut      bool
	silent   bool
	mute     bool // handshakes are not answered
	stopped  bool
}

var _ locktest.Network = (*Network)(nil)

// New makes a network that lets everything through. It ends with the test.
func New(t testing.TB) *Network {
	t.Helper()
	n := &Network{proxies: map[string]net.Listener{}, conns: map[*link]struct{}{}, counts: map[Op]int{}}
	n.changed = sync.NewCond(&n.mu)
	t.Cleanup(n.stop)
	return n
}

// Addrs returns the addresses of the proxies of some servers: 127.0.0.1:PORT each.
func (n *Network) Addrs(servers ...string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var addrs []string
	for _, server := range servers {
		listener := n.proxies[server]
		if n.stopped {
			return nil, net.ErrClosed
		}
		if listener == nil {
			var err error
			if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				return nil, fmt.Errorf("start a proxy: %w", err)
			}
			n.proxies[server] = listener
			n.work.Go(func() { n.accept(listener, server) })
		}
		addrs = append(addrs, listener.Addr().String())
	}
	return addrs, nil
}

// Cut ends all connections and refuses new ones until Heal.
func (n *Network) Cut() {
	n.change(func() {
		n.cut = true
		n.endAll()
	})
}

// Drop ends all connections once; new ones open.
func (n *Network) Drop() { n.change(n.endAll) }

// BlackHole loses whatever is sent in either direction, without a sign of it,
// until Heal.
func (n *Network) BlackHole() { n.change(func() { n.silent = true }) }

// MuteHandshakes lets connections open and handshakes through, and loses the
// answers without a sign of it, until Heal.
func (n *Network) MuteHandshakes() { n.change(func() { n.mute = true }) }

// LoseReply lets the next command through and loses the answer; the connection
// ends with it. What a client sends by itself, such as a ping, is no command.
func (n *Network) LoseReply() { n.LoseReplyTo(Any, 1) }

// Heal lets everything through again, and ends all rules. What was lost stays
// lost, and a connection that lost something has ended.
func (n *Network) Heal() {
	n.change(func() {
		n.cut, n.silent, n.mute = false, false, false
		for _, r := range n.rules {
			r.freed = true
		}
		n.rules = nil
	})
}

// Count is how many requests of a kind were let through to servers. With [Event] it
// is how many events came back.
func (n *Network) Count(op Op) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if op != Any {
		return n.counts[op]
	}
	commands := 0
	for op, count := range n.counts {
		if !op.housekeeping() {
			commands += count
		}
	}
	return commands
}

// Counts are all of [Network.Count].
func (n *Network) Counts() map[Op]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.counts)
}

// Sessions are those that the client has had, the latest last.
func (n *Network) Sessions() []Session {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.sessions)
}

func (n *Network) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	n.changed.Broadcast()
}

func (n *Network) stop() {
	n.change(func() {
		n.stopped = true
		n.endAll()
		for _, listener := range n.proxies {
			_ = listener.Close()
		}
	})
	n.work.Wait()
}

// endAll ends all connections. The caller holds n.mu.
func (n *Network) endAll() {
	for c := range n.conns {
		c.end()
	}
}

func (n *Network) accept(listener net.Listener, server string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return // The listener was closed by stop.
		}
		n.work.Go(func() { n.serve(client, server) })
	}
}
