package chaosproxy

import (
	"bytes"
	"time"
)

// kind is what a rule does.
type kind uint8

const (
	loseReply kind = iota
	holdReply
	holdCommand
	note
)

// A Rule is what happens to the first command with a certain text in it.
type Rule struct {
	network *Network
	kind    kind
	part    []byte

	// Hit is closed when the command has come to the proxy; for [Network.HoldReply]
	// when the reply to it has, so that the server has carried it out.
	Hit <-chan struct{}

	// These are guarded by Network.mu.
	hit   chan struct{}
	done  bool // the command has come
	told  bool // hit is closed
	freed bool
	at    time.Time
}

// LoseReplyTo loses the reply to the first command whose text has part in it;
// the connection ends with it.
func (n *Network) LoseReplyTo(part string) *Rule { return n.add(loseReply, part) }

// HoldReply holds back the reply to the first command whose text has part in it,
// and all that follows on its connection, until [Rule.Free].
func (n *Network) HoldReply(part string) *Rule { return n.add(holdReply, part) }

// HoldCommand holds back the first command whose text has part in it, and all that
// follows it on its connection, until [Rule.Free].
func (n *Network) HoldCommand(part string) *Rule { return n.add(holdCommand, part) }

// Note does nothing but tell when the first command whose text has part in it was
// let through to the server.
func (n *Network) Note(part string) *Rule { return n.add(note, part) }

func (n *Network) add(kind kind, part string) *Rule {
	hit := make(chan struct{})
	r := &Rule{network: n, kind: kind, part: []byte(part), Hit: hit, hit: hit}
	n.change(func() { n.rules = append(n.rules, r) })
	return r
}

// Free lets through what the rule holds back.
func (r *Rule) Free() { r.network.change(func() { r.freed = true }) }

// At returns when the command was let through; zero if it was not.
func (r *Rule) At() time.Time {
	r.network.mu.Lock()
	defer r.network.mu.Unlock()
	return r.at
}

// hits reports whether the rule waits for this command. Network.mu is held, as
// it is for all that follows.
func (r *Rule) hits(text []byte) bool { return !r.done && bytes.Contains(text, r.part) }

// reached tells the test.
func (r *Rule) reached() {
	if !r.told {
		r.told = true
		close(r.hit)
	}
}

// apply does what the rule says to the connection that its command came by.
func (r *Rule) apply(c *link) {
	r.done = true
	switch r.kind {
	case loseReply:
		c.doomed = true
	case holdReply:
		c.waits = r
	case holdCommand:
		r.reached()
		for !r.freed && !c.over {
			r.network.changed.Wait()
		}
	case note:
	}
	r.at = time.Now()
	if r.kind != holdReply {
		r.reached()
	}
}
