package chaosproxy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile/driver/locktest"
)

// A Network is the way of one client to all servers. It is safe for concurrent
// use.
type Network struct {
	work sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond // of what follows
	proxies map[string]net.Listener
	conns   map[*link]struct{}
	rules   []*Rule
	delay   time.Duration
	cut     bool
	silent  bool
	losing  bool // the next reply is to be lost
	stopped bool
}

var _ locktest.Network = (*Network)(nil)

// New makes a network that lets everything through. It ends with the test.
func New(t testing.TB) *Network {
	t.Helper()
	n := &Network{proxies: make(map[string]net.Listener), conns: make(map[*link]struct{})}
	n.changed = sync.NewCond(&n.mu)
	t.Cleanup(n.stop)
	return n
}

// Addr returns the address of the proxy of a server: 127.0.0.1:PORT.
func (n *Network) Addr(server string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		return "", net.ErrClosed
	}
	listener := n.proxies[server]
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return "", fmt.Errorf("start a proxy: %w", err)
		}
		n.proxies[server] = listener
		n.work.Go(func() { n.accept(listener, server) })
	}
	return listener.Addr().String(), nil
}

// Dial connects to a server by its proxy.
func (n *Network) Dial(ctx context.Context, server string) (net.Conn, error) {
	addr, err := n.Addr(server)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
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

// LoseReply lets the next script's command through and loses the answer; the
// connection ends with it.
func (n *Network) LoseReply() { n.change(func() { n.losing = true }) }

// Delay lets everything take d longer, in each direction.
func (n *Network) Delay(d time.Duration) { n.change(func() { n.delay = d }) }

// Heal lets everything through again. What was lost stays lost, and a
// connection that lost something has ended. Rules stay.
func (n *Network) Heal() {
	n.change(func() { n.cut, n.silent, n.losing, n.delay = false, false, false, 0 })
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
