package driver

import "time"

// A Capability is one thing that most stores can do and some cannot.
type Capability string

const (
	// CapShared: shared holds.
	CapShared Capability = "shared"
	// CapLimit: a limit above 1.
	CapLimit Capability = "limit"
	// CapMinHold: a minimum hold.
	CapMinHold Capability = "minhold"
	// CapTokenBlocks: more than one fencing token in a grant.
	CapTokenBlocks Capability = "tokenblocks"
	// CapTTL: each lease has a TTL of its own, which a renewal may change.
	CapTTL Capability = "ttl"
	// CapAdopt: a lease can be renewed and released by another process, or
	// after a reopen, with nothing but its Hold.
	CapAdopt Capability = "adopt"
	// CapProcesses: processes exclude each other.
	CapProcesses Capability = "processes"
	// CapDurable: leases and tokens outlive a reopen of the store.
	CapDurable Capability = "durable"
	// CapBreak: a lease can be broken without passing the key on at once.
	CapBreak Capability = "break"
)

// Capabilities is what a driver declares of its store.
type Capabilities struct {
	// Lacks maps each capability that the store does not have to the reason, a
	// short sentence for people. A request for it is refused with an
	// errors.ErrUnsupported. The conformance suite fails a driver that has
	// what it says it lacks.
	Lacks map[Capability]string
	// MinTTL and MaxTTL bound the TTLs that the store takes. Zero: no bound
	// of its own.
	MinTTL, MaxTTL time.Duration
}

// Has reports whether the store has capability c.
func (c Capabilities) Has(want Capability) bool {
	_, lacks := c.Lacks[want]
	return !lacks
}
