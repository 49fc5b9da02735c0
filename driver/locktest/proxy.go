package locktest

import (
	"fmt"
	"net"
	"sync"
	"testing"
)

// A Proxy stands between a client and a store that is reached by TCP or by a
// unix socket, and breaks their connections on demand: it is a [Network]. It
// is safe for concurrent use.
type Proxy struct {
	network, target string
	listener        net.Listener
	work            sync.WaitGroup

	mu      sync.Mutex
	healed  *sync.Cond
	conns   map[*proxied]struct{}
	cut     bool
	silent  bool
	losing  bool // the next reply is to be lost
	stopped bool
}

var _ Network = (*Proxy)(nil)

// A proxied connection is the pair of both halves.
type proxied struct {
	client, server net.Conn
	doomed         bool // the reply to what was sent last is to be lost
}

// NewProxy starts a proxy to the store at address on network ("tcp" or
// "unix"). It listens on a port of 127.0.0.1 and ends with the test.
func NewProxy(t testing.TB, network, address string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start a proxy: %v", err)
	}
	p := &Proxy{network: network, target: address, listener: listener, conns: make(map[*proxied]struct{})}
	p.healed = sync.NewCond(&p.mu)
	p.work.Go(p.accept)
	t.Cleanup(p.stop)
	return p
}

// Addr is where clients reach the proxy: 127.0.0.1:PORT.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut implements [Network].
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.closeAll()
	p.healed.Broadcast()
}

// BlackHole implements [Network].
func (p *Proxy) BlackHole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
}

// LoseReply implements [Network]. The command is what the client sends next,
// on whichever connection.
func (p *Proxy) LoseReply() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.losing = true
}

// Heal implements [Network].
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.silent, p.losing = false, false, false
	p.healed.Broadcast()
}

func (p *Proxy) stop() {
	p.mu.Lock()
	p.stopped = true
	p.closeAll()
	p.healed.Broadcast()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.work.Wait()
}

// closeAll ends all connections. The caller holds p.mu.
func (p *Proxy) closeAll() {
	for c := range p.conns {
		c.close()
	}
}

func (c *proxied) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // The listener was closed by stop.
		}
		p.work.Go(func() { p.serve(client) })
	}
}

// serve connects one client to the store.
func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial(p.network, p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	c := &proxied{client: client, server: server}
	p.mu.Lock()
	if p.cut || p.stopped {
		p.mu.Unlock()
		c.close()
		return
	}
	p.conns[c] = struct{}{}
	p.mu.Unlock()
	var halves sync.WaitGroup
	halves.Go(func() { p.pump(c, client, server, p.admitCommand) })
	halves.Go(func() { p.pump(c, server, client, p.admitReply) })
	halves.Wait()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// pump carries bytes one way while admit lets it, and then ends both ways.
func (p *Proxy) pump(c *proxied, from, to net.Conn, admit func(*proxied) bool) {
	defer c.close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			p.end()
			return
		}
		if !admit(c) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// end waits while the network is silent: then the other side does not hear either
// that a connection has ended.
func (p *Proxy) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pass()
}

// admitCommand waits while the network is silent, and dooms the reply if it is
// to be lost.
func (p *Proxy) admitCommand(c *proxied) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.losing {
		p.losing, c.doomed = false, true
	}
	return p.pass()
}

// admitReply waits while the network is silent, and refuses a doomed reply.
func (p *Proxy) admitReply(c *proxied) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pass() && !c.doomed
}

// pass reports whether what was just read may go on. What was sent into a
// black hole is lost, and its connection ends when the hole does; a command that
// arrives late would be another kind of trouble. The caller holds p.mu.
func (p *Proxy) pass() bool {
	swallowed := p.silent
	for p.silent && !p.cut && !p.stopped {
		p.healed.Wait()
	}
	return !swallowed && !p.cut && !p.stopped
}

// String describes the proxy in a failure.
func (p *Proxy) String() string { return fmt.Sprintf("proxy %s to %s", p.Addr(), p.target) }
