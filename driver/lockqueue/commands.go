package lockqueue

import (
	"fmt"

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
	// sent again.
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
// for another WaiterTTL, a lease its token for another TTL; a lease that was
// released or broken is Lost.
func Acquire(view View, now Now, a *Attempt) (Result, error) {
	return run(view, now, func(c *command) error {
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
		e.Expires = c.now.Lease + a.TTL
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
	first, err := c.view.First()
	if err != nil {
		return fmt.Errorf("read line: %w", err)
	}
	c.res.Status, c.res.Entry, c.res.First = Queued, e, first.ID == e.ID
	return c.put(e)
}

// forget takes the sender out of those to be told: its answer tells it.
func (c *command) forget(id driver.LeaseID) {
	for i := range c.res.Woken {
		if c.res.Woken[i].ID == id {
			c.res.Woken = append(c.res.Woken[:i], c.res.Woken[i+1:]...)
			return
		}
	}
}

func (c *command) refuse() error {
	holders, err := c.view.Holders(maxListed)
	if err != nil {
		return fmt.Errorf("read holders: %w", err)
	}
	c.res.Status, c.res.Holders, c.res.Limit = Busy, holders, c.key.Limit
	return nil
}

// Renew lets a lease live for ttl from now.
func Renew(view View, now Now, id driver.LeaseID, ttl Micros) (Result, error) {
	return run(view, now, func(c *command) error {
		e, found, err := c.entry(id)
		switch {
		case err != nil:
			return err
		case !found || !e.live(c.now):
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
// not over keeps the key until then. A lease that had been broken or had run
// out ends too, and the status is Lost all the same.
func Release(view View, now Now, id driver.LeaseID) (Result, error) {
	return run(view, now, func(c *command) error {
		e, found, err := c.entry(id)
		switch {
		case err != nil:
			return err
		case !found:
			c.res.Status = Lost
			return nil
		case e.Phase == Released:
			return nil
		case e.holds() && !e.live(c.now):
			c.res.Status = Lost
		}
		c.forget(id)
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
	return run(view, now, func(c *command) error {
		e, found, err := c.entry(id)
		switch {
		case err != nil:
			return err
		case !found || !e.holds():
			c.res.Status = Lost
			return nil
		}
		c.forget(id)
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
	return run(view, now, func(*command) error { return nil })
}
