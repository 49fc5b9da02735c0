package zkproxy

import "time"

// kind is what a rule does.
type kind uint8

const (
	note kind = iota
	holdRequest
	holdReply
	loseRequest
	loseReply
)

// A Rule is what happens to one request, counted from when the rule was made.
type Rule struct {
	network *Network
	kind    kind
	op      Op
	left    int // how many such requests pass before it

	// Hit is closed when the request has come to the proxy; for a rule about
	// the reply when that has, so that the server has done what it was asked.
	Hit <-chan struct{}

	// These are guarded by Network.mu.
	hit   chan struct{}
	told  bool // hit is closed
	freed bool
	at    time.Time
}

// HoldRequest holds back the nth request of a kind from now on, and all that
// follows it on its connection, until [Rule.Free].
func (n *Network) HoldRequest(op Op, nth int) *Rule { return n.add(holdRequest, op, nth) }

// HoldReply holds back the reply to the nth request of a kind from now on, and all
// that follows it on its connection, until [Rule.Free]. With [Event] it is the nth
// event.
func (n *Network) HoldReply(op Op, nth int) *Rule { return n.add(holdReply, op, nth) }

// CutBefore ends the connection at the nth request of a kind from now on: no
// server hears of it. New connections open.
func (n *Network) CutBefore(op Op, nth int) *Rule { return n.add(loseRequest, op, nth) }

// LoseReplyTo lets the nth request of a kind from now on through and loses the
// reply: the connection ends when the server gives it.
func (n *Network) LoseReplyTo(op Op, nth int) *Rule { return n.add(loseReply, op, nth) }

// Note does nothing but tell when the nth request of a kind from now on was let
// through.
func (n *Network) Note(op Op, nth int) *Rule { return n.add(note, op, nth) }

func (n *Network) add(kind kind, op Op, nth int) *Rule {
	hit := make(chan struct{})
	r := &Rule{network: n, kind: kind, op: op, left: max(nth, 1), Hit: hit, hit: hit}
	n.change(func() { n.rules = append(n.rules, r) })
	return r
}

// Free lets through what the rule holds back, now or later.
func (r *Rule) Free() { r.network.change(func() { r.freed = true }) }

// At is when the request was let through; zero if it was not.
func (r *Rule) At() time.Time {
	r.network.mu.Lock()
	defer r.network.mu.Unlock()
	return r.at
}

// takes reports whether this is the request that the rule waits for. Network.mu is
// held, as it is for all that follows.
func (r *Rule) takes(op Op) bool {
	if r.left == 0 || r.op != op && (r.op != Any || op.housekeeping()) {
		return false
	}
	r.left--
	return r.left == 0
}

func (r *Rule) reached() {
	if !r.told {
		r.told = true
		close(r.hit)
	}
}

// request does what the rule says to a request, and reports whether it goes on.
func (r *Rule) request(c *link, xid int32) bool {
	switch r.kind {
	case loseRequest:
		r.reached()
		return false
	case holdRequest:
		r.reached()
		for !r.freed && !c.over {
			r.network.changed.Wait()
		}
	case note:
		r.reached()
	case holdReply, loseReply:
		c.awaited[xid] = append(c.awaited[xid], r)
	}
	r.at = time.Now()
	return !c.over
}

// reply does what the rule says to the reply, and reports whether it goes on.
func (r *Rule) reply(c *link) bool {
	r.reached()
	if r.kind == loseReply {
		return false
	}
	for r.kind == holdReply && !r.freed && !c.over {
		r.network.changed.Wait()
	}
	return !c.over
}
