package chaosproxy

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A link is one connection: both of its halves.
type link struct {
	client, server net.Conn

	// These are guarded by Network.mu.
	doomed bool  // no reply goes through any more, and the connection ends when the server has carried out what it got
	waits  *Rule // its replies are held back
	over   bool
}

// end ends both halves. The caller holds Network.mu.
func (c *link) end() {
	c.over = true
	_ = c.client.Close()
	_ = c.server.Close()
}

// serve connects one client to a server.
func (n *Network) serve(client net.Conn, address string) {
	server, err := net.Dial("tcp", address) //nolint:noctx // A server on this machine: it takes or refuses at once.
	if err != nil {
		_ = client.Close()
		return
	}
	c := &link{client: client, server: server}
	refused := false
	n.change(func() {
		n.conns[c] = struct{}{}
		if refused = n.cut || n.stopped; refused {
			c.end()
		}
	})
	if !refused {
		var halves sync.WaitGroup
		halves.Go(func() {
			if n.pump(c, client, server, n.admitCommand); !n.losesReplies(c) || hangUp(server) != nil {
				n.change(c.end)
			}
		})
		halves.Go(func() {
			n.pump(c, server, client, n.admitReply)
			if n.losesReplies(c) {
				// Replies to earlier commands may come first. The server reads all that it was
				// sent, and only then the end of it: its own end says that all was carried out.
				_, _ = io.Copy(io.Discard, server)
			}
			n.change(c.end)
		})
		halves.Wait()
	}
	n.change(func() { delete(n.conns, c) })
}

// hangUp tells a server that nothing more will come.
func hangUp(server net.Conn) error {
	tcp, ok := server.(*net.TCPConn)
	if !ok {
		return net.ErrClosed
	}
	if err := tcp.CloseWrite(); err != nil {
		return fmt.Errorf("hang up: %w", err)
	}
	return nil
}

func (n *Network) losesReplies(c *link) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return c.doomed && !c.over
}

// pump carries bytes one way while admit lets it.
func (n *Network) pump(c *link, from, to net.Conn, admit func(*link, []byte) bool) {
	buffer := make([]byte, 64<<10)
	for {
		size, err := from.Read(buffer)
		if err != nil {
			return
		}
		n.mu.Lock()
		delay := n.delay
		n.mu.Unlock()
		if delay > 0 {
			<-time.After(delay)
		}
		if !admit(c, buffer[:size]) {
			return
		}
		if _, err := to.Write(buffer[:size]); err != nil || (to == c.server && n.losesReplies(c)) {
			return
		}
	}
}

// script is in every command that does something to a lock. A client has others
// of its own: it says hello, subscribes, and asks a Cluster for its nodes.
var script = []byte("EVALSHA")

// admitCommand applies the rules to what a client has written.
func (n *Network) admitCommand(c *link, text []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.losing && bytes.Contains(text, script) {
		n.losing, c.doomed = false, true
	}
	if !n.pass(c) {
		return false
	}
	for _, rule := range n.rules {
		if rule.hits(text) {
			rule.apply(c)
		}
	}
	return !c.over
}

// admitReply waits while the network is silent or a rule holds replies back,
// and refuses a doomed reply.
func (n *Network) admitReply(c *link, _ []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c.waits != nil && !c.waits.freed && !c.over {
		c.waits.reached()
		n.changed.Wait()
	}
	return n.pass(c) && !c.doomed
}

// pass reports whether what was just read may go on. What was sent into a
// black hole is lost, and its connection ends when the hole does. The caller
// holds n.mu.
func (n *Network) pass(c *link) bool {
	swallowed := n.silent
	for n.silent && !c.over {
		n.changed.Wait()
	}
	return !swallowed && !c.over
}
