package driver

import "time"

// A State is what a store knows of one key, for people to read. It is a
// snapshot: by the time it is read it may be history. Its JSON form is part of
// the promise of the command and of the service.
type State struct {
	// Key is the key.
	Key string `json:"key"`
	// Limit is the number of permits of the key; 1 unless it is a semaphore.
	Limit int `json:"limit"`
	// Holders hold the key, in the order of their grants.
	Holders []Holder `json:"holders"`
	// Waiters stand in line, the first one first.
	Waiters []Waiter `json:"waiters"`
}

// A Holder is one lease of a key.
type Holder struct {
	// ID is the lease's id. It is zero for a holder that no driver granted: a
	// program that takes the store's own key without stile.
	ID LeaseID `json:"id"`
	// Owner is the label that its holder gave.
	Owner string `json:"owner"`
	// Mode says what the hold leaves to others.
	Mode Mode `json:"mode"`
	// Token is the fencing token. In JSON it is a decimal string.
	Token uint64 `json:"token,string"`
	// Since is when the lease was granted, by the store's wall clock. Zero: the
	// store does not know.
	Since time.Time `json:"since,omitzero"`
	// Expires is when the key passes on unless the lease is renewed, by the
	// store's wall clock. Zero: it does not end by itself.
	Expires time.Time `json:"expires,omitzero"`
	// Ended says why a lease that cannot be renewed any more still keeps the
	// key until Expires; empty for a live lease.
	Ended Ended `json:"ended,omitempty"`
	// Metadata is what its holder kept with the lease. May be nil.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Ended says why a lease has ended though its key is still taken.
type Ended string

const (
	// EndedReleased: its holder released it before the minimum hold was over.
	EndedReleased Ended = "released"
	// EndedExpired: it ran out, and its minimum hold is not over.
	EndedExpired Ended = "expired"
	// EndedBroken: an operator broke it, and its holder has not said yet that
	// it stopped.
	EndedBroken Ended = "broken"
)

// A Waiter is one attempt that stands in line for a key.
type Waiter struct {
	// ID is the attempt id.
	ID LeaseID `json:"id"`
	// Owner is the label that the attempt gave.
	Owner string `json:"owner"`
	// Mode says what the hold would leave to others.
	Mode Mode `json:"mode"`
	// Since is when the attempt joined the line, by the store's wall clock.
	Since time.Time `json:"since"`
}
