package lockqueue

import (
	"fmt"
	"slices"

	"github.com/stilelock/stile/driver"
)

// An Attempt is what Acquire needs of a request.
type Attempt struct {
	// ID, Mode, Limit, TTL, MinHold, Tokens, Owner and Metadata are those of
	// the driver.Request.
	ID           driver.LeaseID
	Mode         driver.Mode
	Limit        int
	TTL, MinHold Micros
	Tokens       int
	Owner        string
	Metadata     map[string]string
	// NoWait refuses instead of standing in line.
	NoWait bool
	// WaiterTTL is how long the attempt keeps its place in line without being
	// sent again; more than 0.
	WaiterTTL Micros
	// Addr is kept with the entry for the driver.
	Addr string
}

// NewAttempt takes over what a request asks for. Its times are rounded up to
// whole microseconds.
func NewAttempt(req *driver.Request) Attempt {
	return Attempt{
		ID:       req.ID,
		Mode:     req.Mode,
		Limit:    req.Limit,
		TTL:      FromDuration(req.TTL),
		MinHold:  FromDuration(req.MinHold),
		Tokens:   req.Tokens,
		Owner:    req.Owner,
		Metadata: req.Metadata,
		NoWait:   req.NoWait,
	}
}

// Acquire grants the attempt, lets it stand in line, or refuses it. Sent again
// with the same id it finds the attempt where it is: a waiter keeps its place
// for another WaiterTTL, a lease its token for at least another TTL; a lease
// that was released or broken, or that ran out and is kept by its minimum hold,
// is Lost. The sender counts as reachable: its answer tells it.
func Acquire(view View, now Now, a *Attempt) (Result, error) {
	c := command{view: view, now: now, asking: a.ID}
	return c.run(func() error {
		e, found, err := c.entry(a.ID)
		switch {
		case err != nil:
			return err
		case found:
			return c.acquireAgain(e, a)
		case !c.key.Idle() && c.key.Limit != a.Limit:
			c.res.Status, c.res.Limit = LimitDiffers, c.key.Limit
			return nil
		}
		e = Entry{
			ID: a.ID, Mode: a.Mode, TTL: a.TTL, MinHold: a.MinHold, Tokens: a.Tokens,
			Owner: a.Owner, Metadata: a.Metadata, Addr: a.Addr,
		}
		switch {
		case c.key.Waiting == 0 && c.hasRoom(a.Mode):
			c.key.Limit = a.Limit
			c.res.Status = Granted
			c.res.Entry, err = c.grant(e)
			return err
		case a.NoWait:
			return c.refuse()
		}
		c.key.LastSeq++
		c.key.Waiting++
		e.Phase, e.Seq = Waiting, c.key.LastSeq
		e.Since, e.SinceWall = c.now.Lease, c.now.Wall
		e.Expires = c.now.Lease + a.WaiterTTL
		c.res.Status, c.res.Entry, c.res.First = Queued, e, c.key.Waiting == 1
		return c.put(e)
	})
}

// acquireAgain answers a retry of an attempt that is already known.
func (c *command) acquireAgain(e Entry, a *Attempt) error {
	e.Addr = a.Addr
	switch {
	case e.live(c.now):
		e.TTL = a.TTL
		// Never shorter: a copy of the request may arrive late, after the holder
		// has renewed for longer.
		e.Expires = max(e.Expires, c.now.Lease+a.TTL)
		c.forget(e.ID)
		c.res.Status, c.res.Entry = Granted, e
		return c.put(e)
	case e.holds():
		c.res.Status = Lost
		return nil
	case a.NoWait:
		if err := c.remove(e); err != nil {
			return err
		}
		return c.refuse()
	}
	e.Expires = c.now.Lease + a.WaiterTTL
	first, err := c.firstInLine()
	if err != nil {
		return err
	}
	c.res.Status, c.res.Entry, c.res.First = Queued, e, first.ID == e.ID
	return c.put(e)
}

// forget takes the sender out of those to be told: its answer tells it.
func (c *command) forget(id driver.LeaseID) {
	c.res.Woken = slices.DeleteFunc(c.res.Woken, func(e Entry) bool { return e.ID == id })
}

// isNew reports whether this very command has granted the attempt. When it was
// sent there was no such lease, and the holder has yet to be told of it.
func (c *command) isNew(id driver.LeaseID) bool {
	return slices.ContainsFunc(c.res.Woken, func(e Entry) bool { return e.ID == id })
}

func (c *command) refuse() error {
	holders, err := c.view.Holders(maxListed)
	if err != nil {
		return fmt.Errorf("read holders: %w", err)
	}
	c.res.Status, c.res.Holders, c.res.Limit = Busy, holders, c.key.Limit
	return nil
}

// Renew lets the lease with that token live for ttl from now. Token 0 stands
// for whatever token the lease has. An id that was granted again after its
// lease had ended has another token, so the old lease stays Lost.
func Renew(view View, now Now, id driver.LeaseID, token uint64, ttl Micros) (Result, error) {
	c := command{view: view, now: now}
	return c.run(func() error {
		e, found, err := c.entry(id)
		switch {
		case err != nil:
			return err
		case !found || !e.live(c.now) || c.isNew(id) || token != 0 && token != e.Token:
			c.res.Status = Lost
			return nil
		}
		e.TTL = ttl
		e.Expires = c.now.Lease + ttl
		c.res.Entry = e
		return c.put(e)
	})
}

// Release ends a lease, or withdraws a waiter. A lease whose minimum hold is
// not over keeps the key until then. A lease that had been broken ends too, and
// the status is Lost all the same; so it is for one that ran out and is kept by
// its minimum hold. A waiter is withdrawn before the key is settled: it is not
// granted by its own withdrawal.
func Release(view View, now Now, id driver.LeaseID) (Result, error) {
	c := command{view: view, now: now, leaving: id}
	return c.run(func() error {
		e, found, err := c.entry(id)
		switch {
		case err != nil:
			return err
		case c.left.Seq != 0:
			c.res.Entry = c.left
			return nil
		case !found:
			c.res.Status = Lost
			return nil
		case e.Phase == Released:
			return nil
		case e.Phase == Held && !e.live(c.now):
			c.res.Status = Lost
			return nil
		case e.Phase == Broken:
			c.res.Status = Lost
		}
		c.res.Entry = e
		if e.Phase == Held && e.Since+e.MinHold > c.now.Lease {
			e.Phase = Released
			return c.put(e)
		}
		return c.remove(e)
	})
}

// Break ends somebody's lease: at once, or gently, which leaves the key taken
// until the holder releases or the lease expires. Either way the minimum hold
// no longer counts. The status is Lost if id is not a lease of this key.
func Break(view View, now Now, id driver.LeaseID, how driver.BreakHow) (Result, error) {
	c := command{view: view, now: now}
	return c.run(func() error {
		e, found, err := c.entry(id)
		switch {
		case err != nil:
			return err
		case !found || !e.holds() || c.isNew(id):
			c.res.Status = Lost
			return nil
		}
		c.res.Entry = e
		// A released lease has nobody behind it whom the key must wait for.
		if how == driver.BreakNow || e.Phase == Released || e.Expires <= c.now.Lease {
			return c.remove(e)
		}
		e.Phase = Broken
		return c.put(e)
	})
}

// Settle ends what has expired and lets the line move up.
func Settle(view View, now Now) (Result, error) {
	c := command{view: view, now: now}
	return c.run(func() error { return nil })
}
