package guard

import "time"

// An Instant is a reading of [Now]. Only differences mean anything, but they
// mean it in every process of this machine.
type Instant time.Duration

// Add returns the instant d after i.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns the time from j to i.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

const (
	// reservePart is the part of the TTL that is kept between SIGKILL and the
	// deadline, so that what was killed is also gone.
	reservePart = 10
	// reserveMost bounds it: killing does not take longer for a longer TTL.
	reserveMost = 250 * time.Millisecond
	// killAfterPart bounds kill-after to this part of the TTL. A lease is
	// renewed when a third of its TTL has passed; so a healthy one has always
	// another third left before SIGTERM is due, for tries that fail.
	killAfterPart = 3
)

// A Rule says when a command that is losing its lease is signalled.
type Rule struct {
	// KillAfter is the time that the command gets between SIGTERM and the
	// deadline, or, when it is told to end before, at most between the signals.
	KillAfter time.Duration
	// Reserve is the time between SIGKILL and the deadline.
	Reserve time.Duration
}

// NewRule returns the rule for leases of a TTL. KillAfter is at most a third
// of it.
func NewRule(ttl, killAfter time.Duration) Rule {
	return Rule{
		KillAfter: max(0, min(killAfter, ttl/killAfterPart)),
		Reserve:   min(ttl/reservePart, reserveMost),
	}
}

// TermAt is when SIGTERM is due for a deadline that is not moved on.
func (r Rule) TermAt(deadline Instant) Instant {
	return deadline.Add(-max(r.KillAfter, r.Reserve))
}

// KillAt is when SIGKILL is due for a deadline that is not moved on.
func (r Rule) KillAt(deadline Instant) Instant { return deadline.Add(-r.Reserve) }

// KillSoonAt is when SIGKILL is due if SIGTERM is sent now, before its time.
func (r Rule) KillSoonAt(now, deadline Instant) Instant {
	return min(r.KillAt(deadline), now.Add(r.KillAfter))
}
