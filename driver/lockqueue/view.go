package lockqueue

import (
	"github.com/stilelock/stile/driver"
)

// Micros is a time, or a span of time, in microseconds.
type Micros int64

// Now is the store's time at one command.
type Now struct {
	// Lease is the clock that leases are counted in. It never goes back.
	Lease Micros
	// Wall is the store's wall clock, since 1970. It mints tokens and is shown
	// to people; it decides nothing else.
	Wall Micros
}

// A Phase is where an attempt is on its way.
type Phase uint8

const (
	// Waiting: it stands in line.
	Waiting Phase = iota
	// Held: it was granted and keeps the key.
	Held
	// Released: its holder has released it; it keeps the key until its minimum
	// hold is over.
	Released
	// Broken: it cannot be renewed; it keeps the key until its holder releases
	// it or it expires.
	Broken
)

// An Entry is one attempt: a waiter, or a lease.
type Entry struct {
	// ID is the attempt id.
	ID driver.LeaseID
	// Phase is where the attempt is.
	Phase Phase
	// Mode is what the attempt asked for.
	Mode driver.Mode
	// Seq is the attempt's place in line; it rises with each newcomer.
	Seq uint64
	// TTL and MinHold are what the attempt asked for.
	TTL, MinHold Micros
	// Tokens is the size of the block of tokens, and Token, once granted, the
	// first of them.
	Tokens int
	Token  uint64
	// Since is when the attempt joined the line, or when it was granted, on
	// the lease clock, and SinceWall the same on the wall clock.
	Since, SinceWall Micros
	// Expires is when the waiter's lease or the lease runs out.
	Expires Micros
	// Owner, Metadata and Addr are kept for the driver: who it is, and where a
	// waiter or holder is told of news.
	Owner    string
	Metadata map[string]string
	Addr     string
}

// Until is when the entry gives way by itself: a waiter's place in line, or a
// lease's hold of the key, which lasts at least the minimum hold.
func (e *Entry) Until() Micros {
	switch e.Phase {
	case Held:
		return max(e.Expires, e.Since+e.MinHold)
	case Released:
		return e.Since + e.MinHold
	default:
		return e.Expires
	}
}

// holds reports whether the entry keeps the key.
func (e *Entry) holds() bool { return e.Phase != Waiting }

// live reports whether the entry is a lease that can still be renewed. One
// that has run out may keep the key for its minimum hold, and is lost all the
// same: a lease that was lost never becomes held again.
func (e *Entry) live(now Now) bool { return e.Phase == Held && e.Expires > now.Lease }

// A Key is the record of one key. Its zero value is a key that was never used.
type Key struct {
	// Limit and Mode are those of the key's holders and waiters. They mean
	// nothing while there are none; Mode means nothing while Held is 0.
	Limit int
	Mode  driver.Mode
	// Held and Waiting count the entries that hold and that wait.
	Held, Waiting int
	// LastToken is the last token that was minted.
	LastToken uint64
	// LastSeq is the last place in line that was given out.
	LastSeq uint64
	// Used is when the key was used last, on the lease clock.
	Used Micros
}

// Idle reports whether nobody holds the key or waits for it. The record of an
// idle key is worth keeping only for its last token.
func (k *Key) Idle() bool { return k.Held == 0 && k.Waiting == 0 }

// Forgettable reports whether a store may drop the key's record at now. It may
// when the key has been idle for the retention time, and when the wall clock is
// past the last token by as much; blocks of tokens can run ahead of the clock.
// Then tokens still rise, unless the wall clock goes back by more than
// retention. A store that forgets with a query of its own asks the same of
// Held, Waiting, Used and LastToken.
func (k *Key) Forgettable(now Now, retention Micros) bool {
	return k.Idle() && k.Used+retention <= now.Lease && int64(k.LastToken) < int64(now.Wall-retention)
}

// A View gives the machine what it needs of one key, a few entries at a time,
// so that a long line costs no more than a short one. It is used within one
// transaction by one goroutine.
type View interface {
	// Key returns the key's record; the zero Key if there is none.
	Key() (Key, error)
	// SetKey stores the key's record.
	SetKey(k Key) error
	// Entry returns the entry with that id.
	Entry(id driver.LeaseID) (e Entry, found bool, err error)
	// Put stores an entry in place of any with the same id.
	Put(e Entry) error
	// Remove drops an entry that is there.
	Remove(e Entry) error
	// First returns the waiter with the smallest Seq. It is asked only while
	// Key.Waiting is not 0.
	First() (Entry, error)
	// NextDue returns the holding entry with the smallest Until. It is asked
	// only while Key.Held is not 0.
	NextDue() (Entry, error)
	// Holders returns up to limit holding entries, in the order of their
	// tokens.
	Holders(limit int) ([]Entry, error)
	// Reachable reports whether the waiter can still be told of a grant. A
	// view that cannot know says true.
	Reachable(waiter Entry) bool
}
