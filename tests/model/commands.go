package model

import (
	"slices"

	"github.com/stilelock/stile/driver"
)

// maxNamed is how many holders a refusal names.
const maxNamed = 8

// A run is one command on one key.
type run struct {
	now Now
	key *key
	cut map[driver.LeaseID]bool
	res Result
	// asks is the sender of an Acquire: it is reached by its answer.
	asks driver.LeaseID
}

func (r *run) command(c Command) {
	switch c.Verb {
	case Acquire:
		r.asks = c.ID
		r.settle()
		r.acquire(c)
	case Renew:
		r.settle()
		r.renew(c)
	case Release:
		// Whoever waits has gone before anything else happens.
		withdrawn := r.key.endWaiter(c.ID)
		r.settle()
		r.release(c, withdrawn)
	case BreakGently, BreakNow:
		r.settle()
		r.breakLease(c)
	case Settle:
		r.settle()
		r.res.Answer = OK
	}
	r.moveUp()
}

// settle ends the leases that give way, and moves the line up.
func (r *run) settle() {
	r.key.holders = slices.DeleteFunc(r.key.holders, func(l lease) bool { return l.gives() <= r.now.Lease })
	r.moveUp()
}

// moveUp grants from the head of the line for as long as there is room, and
// passes over the dead.
func (r *run) moveUp() {
	for len(r.key.line) > 0 {
		w := r.key.line[0]
		dead := w.expires <= r.now.Lease
		if !dead && !r.room(w.Command) {
			return
		}
		r.key.line = slices.Clone(r.key.line[1:])
		if dead || r.cut[w.ID] && w.ID != r.asks {
			continue
		}
		l := r.grant(w.Command)
		r.res.Woken = append(r.res.Woken, Grant{ID: l.ID, Token: l.token})
	}
}

// room reports whether one more may hold the key.
func (r *run) room(c Command) bool {
	exclusive, shared := 0, 0
	for i := range r.key.holders {
		if r.key.holders[i].Mode == driver.Shared {
			shared++
		} else {
			exclusive++
		}
	}
	if c.Mode == driver.Shared {
		return exclusive == 0
	}
	return shared == 0 && exclusive < c.Limit
}

func (r *run) grant(c Command) *lease {
	token := r.key.last + 1
	if wall := r.now.Wall; wall > 0 && uint64(wall) > token {
		token = uint64(wall)
	}
	r.key.last = token + uint64(c.Tokens) - 1
	r.key.limit = c.Limit
	r.key.holders = append(r.key.holders, lease{Command: c, token: token, granted: r.now.Lease, expires: r.now.Lease + c.TTL})
	return &r.key.holders[len(r.key.holders)-1]
}

func (r *run) acquire(c Command) {
	if l := r.key.lease(c.ID); l != nil {
		if !l.live(r.now) {
			r.res.Answer = Lost
			return
		}
		l.expires = max(l.expires, r.now.Lease+c.TTL)
		r.res.Answer, r.res.Token = Granted, l.token
		r.res.Woken = slices.DeleteFunc(r.res.Woken, func(g Grant) bool { return g.ID == c.ID })
		return
	}
	for i := range r.key.line {
		if r.key.line[i].ID != c.ID {
			continue
		}
		if c.NoWait {
			r.key.endWaiter(c.ID)
			r.refuse()
			return
		}
		r.key.line[i].expires = r.now.Lease + c.WaiterTTL
		r.res.Answer, r.res.First = Queued, i == 0
		return
	}
	switch used := len(r.key.holders)+len(r.key.line) > 0; {
	case used && c.Limit != r.key.limit:
		r.res.Answer, r.res.Limit = LimitDiffers, r.key.limit
	case len(r.key.line) == 0 && r.room(c):
		l := r.grant(c)
		r.res.Answer, r.res.Token = Granted, l.token
	case c.NoWait:
		r.refuse()
	default:
		r.key.line = append(r.key.line, waiter{Command: c, expires: r.now.Lease + c.WaiterTTL})
		r.res.Answer, r.res.First = Queued, len(r.key.line) == 1
	}
}

func (r *run) refuse() {
	r.res.Answer, r.res.Limit = Busy, r.key.limit
	for i := range r.key.holders[:min(maxNamed, len(r.key.holders))] {
		l := &r.key.holders[i]
		r.res.Holders = append(r.res.Holders, Grant{ID: l.ID, Token: l.token})
	}
}

// fresh reports whether this very command has granted the lease: its sender
// cannot have meant it.
func (r *run) fresh(id driver.LeaseID) bool {
	return slices.ContainsFunc(r.res.Woken, func(g Grant) bool { return g.ID == id })
}

func (r *run) renew(c Command) {
	l := r.key.lease(c.ID)
	if l == nil || !l.live(r.now) || r.fresh(c.ID) || c.Token != 0 && c.Token != l.token {
		r.res.Answer = Lost
		return
	}
	l.expires = r.now.Lease + c.TTL
	r.res.Answer, r.res.Token = OK, l.token
}

func (r *run) release(c Command, withdrawn bool) {
	l := r.key.lease(c.ID)
	switch {
	case withdrawn:
		r.res.Answer = OK
	case l == nil:
		r.res.Answer = Lost
	case l.released:
		r.res.Answer = OK
	case l.broken:
		r.res.Answer = Lost
		r.key.endLease(c.ID)
	case !l.live(r.now):
		r.res.Answer = Lost
	case l.granted+l.MinHold > r.now.Lease:
		r.res.Answer = OK
		l.released = true
	default:
		r.res.Answer = OK
		r.key.endLease(c.ID)
	}
}

func (r *run) breakLease(c Command) {
	l := r.key.lease(c.ID)
	switch {
	case l == nil || r.fresh(c.ID):
		r.res.Answer = Lost
		return
	case c.Verb == BreakNow || l.released || l.expires <= r.now.Lease:
		r.key.endLease(c.ID)
	default:
		l.broken = true
	}
	r.res.Answer = OK
}
