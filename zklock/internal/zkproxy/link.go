package zkproxy

import (
	"bufio"
	"net"
	"slices"
	"sync"
)

// A link is one connection: both of its halves.
type link struct {
	client, server net.Conn

	// These are guarded by Network.mu.
	greeted  bool              // the client has sent its handshake
	answered bool              // and the server its own
	awaited  map[int32][]*Rule // rules about the reply to a request
	over     bool
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
	c := &link{client: client, server: server, awaited: map[int32][]*Rule{}}
	refused := false
	n.change(func() {
		n.conns[c] = struct{}{}
		if refused = n.cut || n.stopped; refused {
			c.end()
		}
	})
	if !refused {
		var halves sync.WaitGroup
		halves.Go(func() { n.pump(c, client, server, n.admitRequest) })
		halves.Go(func() { n.pump(c, server, client, n.admitReply) })
		halves.Wait()
	}
	n.change(func() { delete(n.conns, c) })
}

// pump carries frames one way while admit lets it, and then ends both ways.
func (n *Network) pump(c *link, from, to net.Conn, admit func(*link, []byte) bool) {
	defer n.change(c.end)
	reader := bufio.NewReader(from)
	for {
		frame, err := readFrame(reader)
		if err != nil || !admit(c, frame) {
			return
		}
		if _, err := to.Write(frame); err != nil {
			return
		}
	}
}

// admitRequest counts a request and applies the rules to it.
func (n *Network) admitRequest(c *link, frame []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.pass(c, &n.silent) {
		return false
	}
	xid, op := int32(handshakeXid), Handshake
	if c.greeted {
		x, err := number(frame, 4)
		code, err2 := number(frame, 8)
		if err != nil || err2 != nil {
			return false
		}
		xid, op = x, Op(code)
	}
	c.greeted = true
	for _, r := range slices.Clone(n.rules) { // Heal may come while one of them holds this back.
		if r.takes(op) && !r.request(c, xid) {
			return false
		}
	}
	if c.over {
		return false
	}
	n.counts[op]++
	return true
}

// admitReply applies the rules to a reply or an event.
func (n *Network) admitReply(c *link, frame []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.pass(c, &n.silent) {
		return false
	}
	xid := int32(handshakeXid)
	if c.answered {
		var err error
		if xid, err = number(frame, 4); err != nil {
			return false
		}
	} else if !n.pass(c, &n.mute) || !n.met(frame) {
		return false
	}
	c.answered = true
	if xid == xidEvent {
		return n.admitEvent(c)
	}
	rules := c.awaited[xid]
	delete(c.awaited, xid)
	for _, r := range rules {
		if !r.reply(c) {
			return false
		}
	}
	return !c.over
}

func (n *Network) admitEvent(c *link) bool {
	for _, r := range slices.Clone(n.rules) {
		if r.takes(Event) && !r.reply(c) {
			return false
		}
	}
	n.counts[Event]++
	return !c.over
}

// met notes the session that a server has agreed to.
func (n *Network) met(frame []byte) bool {
	s, err := readSession(frame)
	if err != nil {
		return false
	}
	if s.ID == 0 {
		return true
	}
	n.sessions = slices.DeleteFunc(n.sessions, func(other Session) bool { return other.ID == s.ID })
	n.sessions = append(n.sessions, s)
	return true
}

// pass reports whether what was just read may go on. What was sent into a hole is
// lost, and its connection ends when the hole does. The caller holds n.mu.
func (n *Network) pass(c *link, hole *bool) bool {
	swallowed := *hole
	for *hole && !c.over {
		n.changed.Wait()
	}
	return !swallowed && !c.over
}
