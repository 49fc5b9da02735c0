package lockqueue

import (
	"fmt"

	"github.com/stilelock/stile/driver"
)

// A Status is how a command went for the one who sent it.
type Status uint8

const (
	// OK: done.
	OK Status = iota
	// Granted: the attempt holds the key; Result.Entry is its lease.
	Granted
	// Queued: the attempt stands in line; Result.Entry is its place.
	Queued
	// Busy: the attempt would not wait; Result.Holders say who holds.
	Busy
	// LimitDiffers: the key is in use with Result.Limit.
	LimitDiffers
	// Lost: there is no such lease or attempt (any more).
	Lost
)

// maxListed is how many holders a refusal names.
const maxListed = 8

// A Result is what a command did.
type Result struct {
	// Status is how it went for the one who sent the command.
	Status Status
	// Entry is the attempt itself when Status is Granted or Queued, the lease
	// when a Renew went well, and the entry as it was before when a Release or
	// a Break ended it: a Release whose Entry is Waiting withdrew it.
	Entry Entry
	// Holders are the first few holders when Status is Busy.
	Holders []Entry
	// Limit is the key's limit when Status is LimitDiffers or Busy.
	Limit int
	// Woken are the waiters that this command granted, other than its sender,
	// in the order of their tokens. They are to be told.
	Woken []Entry
	// Due is when the key next changes by itself, if HasDue: when a lease gives
	// way, or when the first in line has let its waiter lease run out. Whoever
	// waits should then run Settle.
	Due    Micros
	HasDue bool
	// First reports, when Status is Queued, that nobody is before the attempt
	// in line.
	First bool
}

// A command is one run of the machine over one key.
type command struct {
	view View
	now  Now
	key  Key
	was  Key
	res  Result
	// asking is the sender of an Acquire.
	asking driver.LeaseID
	// leaving is the sender of a Release. left is its place in line, if it
	// stood first when the key was settled.
	leaving driver.LeaseID
	left    Entry
	// first and next remember what the view last said, until it may say
	// otherwise: each question is a query to some stores. The zero Entry: ask.
	first, next Entry
}

// run settles the key, applies step, lets the line move up again, and stores
// the key's record if it has changed.
func (c *command) run(step func() error) (Result, error) {
	key, err := c.view.Key()
	if err != nil {
		return Result{}, fmt.Errorf("read key: %w", err)
	}
	c.key, c.was = key, key
	if err := c.settle(); err != nil {
		return Result{}, err
	}
	if err := step(); err != nil {
		return Result{}, err
	}
	if err := c.advance(); err != nil {
		return Result{}, err
	}
	if c.key != c.was {
		c.key.Used = c.now.Lease
		if err := c.view.SetKey(c.key); err != nil {
			return Result{}, fmt.Errorf("write key: %w", err)
		}
	}
	if c.key.Held > 0 && c.key.Waiting > 0 {
		next, err := c.nextDue()
		if err != nil {
			return Result{}, err
		}
		first, err := c.firstInLine()
		if err != nil {
			return Result{}, err
		}
		c.res.Due, c.res.HasDue = min(next.Until(), first.Expires), true
	}
	return c.res, nil
}

// settle ends the leases that have run out and lets the line move up.
func (c *command) settle() error {
	for c.key.Held > 0 {
		next, err := c.nextDue()
		if err != nil {
			return err
		}
		if next.Until() > c.now.Lease {
			break
		}
		if err := c.remove(next); err != nil {
			return err
		}
	}
	return c.advance()
}

// advance grants the line from its head as far as mode and limit allow, and
// drops the dead on the way.
func (c *command) advance() error {
	for c.key.Waiting > 0 {
		first, err := c.firstInLine()
		if err != nil {
			return err
		}
		if first.ID == c.leaving {
			c.left = first
		} else if first.Expires > c.now.Lease {
			if !c.hasRoom(first.Mode) {
				return nil
			}
			if first.ID == c.asking || c.view.Reachable(first) {
				granted, err := c.grant(first)
				if err != nil {
					return err
				}
				c.res.Woken = append(c.res.Woken, granted)
				continue
			}
		}
		if err := c.remove(first); err != nil {
			return err
		}
	}
	return nil
}

// hasRoom reports whether the holders leave room for one more of mode.
func (c *command) hasRoom(mode driver.Mode) bool {
	switch {
	case c.key.Held == 0:
		return true
	case mode == driver.Shared || c.key.Mode == driver.Shared:
		return mode == c.key.Mode
	default:
		return c.key.Held < c.key.Limit
	}
}

// grant turns a waiter, or an attempt that was never stored, into a holder.
func (c *command) grant(e Entry) (Entry, error) {
	if e.Phase == Waiting && e.Seq != 0 {
		c.key.Waiting--
	}
	first := max(c.key.LastToken+1, uint64(max(c.now.Wall, 1)))
	c.key.LastToken = first + uint64(e.Tokens) - 1
	c.key.Held++
	c.key.Mode = e.Mode
	e.Phase = Held
	e.Token = first
	e.Since, e.SinceWall = c.now.Lease, c.now.Wall
	e.Expires = c.now.Lease + e.TTL
	return e, c.put(e)
}

func (c *command) put(e Entry) error {
	c.forgetAnswers(e)
	if err := c.view.Put(e); err != nil {
		return fmt.Errorf("write entry: %w", err)
	}
	return nil
}

func (c *command) remove(e Entry) error {
	c.forgetAnswers(e)
	if e.holds() {
		c.key.Held--
	} else {
		c.key.Waiting--
	}
	if err := c.view.Remove(e); err != nil {
		return fmt.Errorf("remove entry: %w", err)
	}
	return nil
}

// firstInLine returns who stands first. Somebody must wait.
func (c *command) firstInLine() (Entry, error) {
	if c.first.ID.IsZero() {
		first, err := c.view.First()
		if err != nil {
			return Entry{}, fmt.Errorf("read line: %w", err)
		}
		c.first = first
	}
	return c.first, nil
}

// nextDue returns the holding entry that gives way first. Somebody must hold.
func (c *command) nextDue() (Entry, error) {
	if c.next.ID.IsZero() {
		next, err := c.view.NextDue()
		if err != nil {
			return Entry{}, fmt.Errorf("read holders: %w", err)
		}
		c.next = next
	}
	return c.next, nil
}

// forgetAnswers is called before e is stored or removed. A newcomer in line is
// not the first one, unless nobody was.
func (c *command) forgetAnswers(e Entry) {
	if e.holds() {
		c.next = Entry{}
	}
	if e.ID == c.first.ID {
		c.first = Entry{}
	}
}

// entry looks an attempt up; an idle key has none.
func (c *command) entry(id driver.LeaseID) (Entry, bool, error) {
	if c.key.Idle() {
		return Entry{}, false, nil
	}
	e, found, err := c.view.Entry(id)
	if err != nil {
		return Entry{}, false, fmt.Errorf("read entry: %w", err)
	}
	return e, found, nil
}
