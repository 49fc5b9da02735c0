package lockqueue

import (
	"fmt"
	"maps"
	"time"

	"github.com/stilelock/stile/driver"
)

// FromDuration converts a span of time, rounded up to whole microseconds.
func FromDuration(d time.Duration) Micros {
	return Micros((d + time.Microsecond - 1) / time.Microsecond)
}

// Duration converts a span of time.
func (m Micros) Duration() time.Duration { return time.Duration(m) * time.Microsecond }

// Time converts a reading of a wall clock.
func (m Micros) Time() time.Time { return time.UnixMicro(int64(m)).UTC() }

// Holder describes a holding entry for people. What it returns shares nothing
// with the entry.
func (e *Entry) Holder(now Now) driver.Holder {
	h := driver.Holder{
		ID: e.ID, Owner: e.Owner, Mode: e.Mode, Token: e.Token, Metadata: maps.Clone(e.Metadata),
		Since:   e.SinceWall.Time(),
		Expires: (now.Wall + e.Until() - now.Lease).Time(),
	}
	switch {
	case e.Phase == Released:
		h.Ended = driver.EndedReleased
	case e.Phase == Broken:
		h.Ended = driver.EndedBroken
	case !e.live(now):
		h.Ended = driver.EndedExpired
	}
	return h
}

// Waiter describes a waiting entry for people.
func (e *Entry) Waiter() driver.Waiter {
	return driver.Waiter{ID: e.ID, Owner: e.Owner, Mode: e.Mode, Since: e.SinceWall.Time()}
}

// Live reports whether the entry still counts at now. Between two commands a
// store may keep entries that have run out; people should not see them.
func (e *Entry) Live(now Now) bool { return e.Until() > now.Lease }

// Err turns a result into the error that a driver returns for it: nil for OK,
// Granted and Queued.
func (r *Result) Err(key string, asked int, now Now) error {
	switch r.Status {
	case OK, Granted, Queued:
		return nil
	case Busy:
		busy := &driver.BusyError{Key: key, Limit: r.Limit}
		for i := range r.Holders {
			busy.Holders = append(busy.Holders, r.Holders[i].Holder(now))
		}
		return busy
	case LimitDiffers:
		return &driver.LimitError{Key: key, InUse: r.Limit, Asked: asked}
	case Lost:
		return driver.ErrLost
	default:
		return fmt.Errorf("unknown status %d", r.Status)
	}
}
