package stile

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// An EventKind says what happened.
type EventKind string

// The kinds of events. Which fields of an [Event] are set beside Kind, Key, ID
// and Owner is said at each.
const (
	// EventAcquired: a key was granted. Token, Waited, Remaining.
	EventAcquired EventKind = "acquired"
	// EventRefused: an acquire ended without a grant. Err, Waited.
	EventRefused EventKind = "refused"
	// EventRenewed: a lease was renewed. Token, Remaining, Held.
	EventRenewed EventKind = "renewed"
	// EventRenewFailed: one try to renew failed; others follow until the
	// deadline. Token, Err, Remaining, Held.
	EventRenewFailed EventKind = "renew failed"
	// EventLost: a lease is lost. Token, Err, Held.
	EventLost EventKind = "lost"
	// EventReleased: a lease was released. Token, Held; Err if the store could
	// not be told yet.
	EventReleased EventKind = "released"
	// EventLeftBehind: the store could not be told in time that an attempt or
	// a lease is over; it expires there by itself. Token, Err; not Mode and
	// Limit.
	EventLeftBehind EventKind = "left behind"
)

// An Event is told to Config.Observe.
type Event struct {
	// Kind says what happened.
	Kind EventKind
	// Key and ID name the lease or attempt, Owner its owner.
	Key   string
	ID    LeaseID
	Owner string
	// Mode and Limit are what was asked for.
	Mode  Mode
	Limit int
	// Token is the fencing token; 0 before the grant.
	Token uint64
	// Waited is the time from the call to its end, and Held the time since the
	// grant.
	Waited, Held time.Duration
	// Remaining is the time to the lease's deadline.
	Remaining time.Duration
	// Err is what went wrong; nil if nothing did.
	Err error
}

// observed reports whether anybody hears of events.
func (l *Locker) observed() bool { return l.config.Observe != nil || l.config.Logger != nil }

// observe tells the observer and the log. The caller holds no lock.
func (l *Locker) observe(e Event) {
	if l.config.Observe != nil {
		l.config.Observe(e)
	}
	if l.config.Logger == nil {
		return
	}
	level := slog.LevelDebug
	switch e.Kind {
	case EventLost, EventRenewFailed, EventLeftBehind:
		level = slog.LevelWarn
	case EventAcquired, EventRefused, EventRenewed, EventReleased:
	}
	attrs := []slog.Attr{slog.String("key", e.Key), slog.String("owner", e.Owner)}
	if e.Token != 0 {
		attrs = append(attrs, slog.Uint64("token", e.Token))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"waited", e.Waited}, {"held", e.Held}, {"remaining", e.Remaining}} {
		if d.value != 0 {
			attrs = append(attrs, slog.Duration(d.name, d.value))
		}
	}
	var busy *BusyError
	switch {
	case e.Err == nil:
	case errors.As(e.Err, &busy):
		// Its text has the lease's id, with which anyone could release it.
		attrs = append(attrs, slog.String("error", ErrBusy.Error()))
		if len(busy.Holders) > 0 {
			attrs = append(attrs, slog.String("holder", busy.Holders[0].Owner))
		}
	default:
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	// A record is about a lease, not about the request that happened to log it.
	l.config.Logger.LogAttrs(context.Background(), level, "stile: "+string(e.Kind), attrs...) //nolint:forbidigo // A record is about a lease, not about the request that happened to log it.
}
