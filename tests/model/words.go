package model

import "github.com/stilelock/stile/driver"

// Now is the store's time at one command, in microseconds: the clock that
// leases are counted in, and the wall clock since 1970.
type Now struct{ Lease, Wall int64 }

// A Verb is what a command does.
type Verb string

// The verbs. What each does is said in driver/lockqueue.
const (
	Acquire     Verb = "acquire"
	Renew       Verb = "renew"
	Release     Verb = "release"
	BreakGently Verb = "break gently"
	BreakNow    Verb = "break now"
	Settle      Verb = "settle"
)

// A Command is what a client sends. All but Settle have an ID. Times are in
// microseconds.
type Command struct {
	Verb Verb
	ID   driver.LeaseID
	// Mode, Limit, MinHold, Tokens, NoWait and WaiterTTL are an Acquire's.
	Mode      driver.Mode
	Limit     int
	MinHold   int64
	Tokens    int
	NoWait    bool
	WaiterTTL int64
	// TTL is an Acquire's or a Renew's.
	TTL int64
	// Token is the lease that a Renew means; 0 for whichever there is.
	Token uint64
}

// An Answer is how a command went for its sender.
type Answer string

// The answers.
const (
	OK           Answer = "ok"
	Granted      Answer = "granted"
	Queued       Answer = "queued"
	Busy         Answer = "busy"
	LimitDiffers Answer = "limit differs"
	Lost         Answer = "lost"
)

// A Grant is a lease and its first token.
type Grant struct {
	ID    driver.LeaseID
	Token uint64
}

// A Result is all that a command tells.
type Result struct {
	Answer Answer
	// Token is that of the lease which was granted or renewed.
	Token uint64
	// First: the attempt waits, and nobody waits before it.
	First bool
	// Limit is the key's, when the answer is Busy or LimitDiffers.
	Limit int
	// Holders are the first few holders when the answer is Busy.
	Holders []Grant
	// Woken are the waiters that were granted, but for the sender.
	Woken []Grant
	// Due is when the key next changes by itself, if somebody holds it and
	// somebody waits.
	Due    int64
	HasDue bool
}

// A State is who holds a key and who waits for it.
type State struct {
	Holders []Lease
	Line    []Waiter
}

// A Lease is one hold of a key, until it gives way by itself.
type Lease struct {
	ID               driver.LeaseID
	Token            uint64
	Until            int64
	Released, Broken bool
}

// A Waiter is one attempt in line, until its waiter lease runs out.
type Waiter struct {
	ID    driver.LeaseID
	Until int64
}
