package lockqueue_test

import (
	"fmt"
	"slices"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// An observer stands beside one key and judges the machine. It knows which
// orders were sent, when, and how they were answered, and keeps its own books
// of who must hold the key and who must stand in line. It reads the machine's
// contents only to compare them with its books.
type observer struct {
	last  uint64 // the last token that was ever seen
	holds []hold // in the order of their grants
	line  []wait // in the order of their arrival
}

// A hold is a lease that the observer knows of.
type hold struct {
	id             driver.LeaseID
	mode           driver.Mode
	limit          int
	phase          lockqueue.Phase
	token          uint64
	since, minHold lockqueue.Micros
	expires        lockqueue.Micros
}

// until is when the lease gives way, by the rules.
func (h *hold) until() lockqueue.Micros {
	switch h.phase {
	case lockqueue.Released:
		return h.since + h.minHold
	case lockqueue.Broken:
		return h.expires
	default:
		return max(h.expires, h.since+h.minHold)
	}
}

// A wait is an attempt in line that the observer knows of.
type wait struct {
	attempt lockqueue.Attempt
	seq     uint64
	until   lockqueue.Micros // the end of the waiter's lease
}

// A violation is a broken rule.
type violation struct{ rule, detail string }

func (v *violation) Error() string { return v.rule + ": " + v.detail }

func broken(rule, format string, args ...any) error {
	return &violation{rule, fmt.Sprintf(format, args...)}
}

// A sight is one command as the observer sees it.
type sight struct {
	order *order
	now   lockqueue.Now
	res   lockqueue.Result
	after contents
	cut   func(driver.LeaseID) bool // who cannot be reached
	// granted are the grants of this command, by token.
	granted []lockqueue.Entry
	// gone counts the waiters that were passed over as dead.
	gone int
}

func (o *observer) clone() observer {
	return observer{last: o.last, holds: slices.Clone(o.holds), line: slices.Clone(o.line)}
}

// see judges one command and enters it in the books.
func (o *observer) see(s *sight) error {
	o.holds = slices.DeleteFunc(o.holds, func(h hold) bool { return h.until() <= s.now.Lease })
	for _, judge := range []func(*sight) error{
		o.judgeAnswer, o.judgeGrants, o.judgeHolders, o.judgeLine,
		o.judgeExclusion, o.judgeProgress, o.judgeRefusal, o.judgeDue,
	} {
		if err := judge(s); err != nil {
			return err
		}
	}
	return nil
}

func (o *observer) hold(id driver.LeaseID) *hold {
	if i := slices.IndexFunc(o.holds, func(h hold) bool { return h.id == id }); i >= 0 {
		return &o.holds[i]
	}
	return nil
}

func (o *observer) wait(id driver.LeaseID) *wait {
	if i := slices.IndexFunc(o.line, func(w wait) bool { return w.attempt.ID == id }); i >= 0 {
		return &o.line[i]
	}
	return nil
}

func (o *observer) endHold(id driver.LeaseID) {
	o.holds = slices.DeleteFunc(o.holds, func(h hold) bool { return h.id == id })
}

func (o *observer) endWait(id driver.LeaseID) {
	o.line = slices.DeleteFunc(o.line, func(w wait) bool { return w.attempt.ID == id })
}

// dead reports whether a waiter may be passed over. The sender of an acquire
// is told by its answer, so it can be reached whatever the view says.
func (s *sight) dead(w *wait) bool {
	if w.until <= s.now.Lease {
		return true
	}
	asks := s.order.verb == acquire || s.order.verb == tryAcquire
	return s.cut(w.attempt.ID) && !(asks && s.order.attempt.ID == w.attempt.ID)
}

// judgeAnswer checks the status that the sender got against what it must be.
func (o *observer) judgeAnswer(s *sight) error {
	id := s.order.attempt.ID
	h, w := o.hold(id), o.wait(id)
	live := h != nil && h.phase == lockqueue.Held && h.expires > s.now.Lease
	switch s.order.verb {
	case acquire, tryAcquire:
		return o.judgeAcquire(s, h, w, live)
	case renew:
		if !live || s.order.token != 0 && s.order.token != h.token {
			return s.want(lockqueue.Lost)
		}
		h.expires = s.now.Lease + s.order.ttl
		return s.wantLease(lockqueue.OK, h)
	case release:
		return o.judgeRelease(s, h, w, live)
	case breakGently, breakNow:
		if h == nil {
			return s.want(lockqueue.Lost)
		}
		if err := s.wantLease(lockqueue.OK, h); err != nil {
			return err
		}
		if s.order.verb == breakNow || h.phase == lockqueue.Released || h.expires <= s.now.Lease {
			o.endHold(id)
		} else {
			h.phase = lockqueue.Broken
		}
		return nil
	default:
		return s.want(lockqueue.OK)
	}
}

func (o *observer) judgeAcquire(s *sight, h *hold, w *wait, live bool) error {
	a := &s.order.attempt
	switch {
	case live:
		h.expires = max(h.expires, s.now.Lease+a.TTL)
		return s.wantLease(lockqueue.Granted, h)
	case h != nil:
		return s.want(lockqueue.Lost)
	}
	switch s.res.Status {
	case lockqueue.Granted:
		s.granted = append(s.granted, s.res.Entry)
		if w != nil && s.dead(w) {
			o.endWait(a.ID) // It was passed over, and starts again.
			w = nil
		}
		if w != nil {
			w.attempt.TTL = max(w.attempt.TTL, a.TTL) // It is granted, and asks again at once.
		} else {
			// It came last. If it is granted all the same, judgeGrants sees
			// whom it overtook.
			o.line = append(o.line, wait{attempt: *a, seq: ^uint64(0), until: s.now.Lease + 1})
		}
		return nil
	case lockqueue.Queued:
		if s.order.verb == tryAcquire {
			return broken("answer", "an attempt that would not wait stands in line")
		}
		return o.judgeQueued(s, w)
	case lockqueue.Busy:
		if s.order.verb != tryAcquire {
			return broken("answer", "an attempt that would wait is refused")
		}
		o.endWait(a.ID)
		return nil
	case lockqueue.LimitDiffers:
		if w != nil {
			return broken("answer", "an attempt in line is refused for its limit")
		}
		return nil
	default:
		return s.want(lockqueue.Granted)
	}
}

func (o *observer) judgeQueued(s *sight, w *wait) error {
	a, e := &s.order.attempt, &s.res.Entry
	if e.ID != a.ID || e.Phase != lockqueue.Waiting {
		return broken("answer", "queued with the entry of %s in phase %d", name(e.ID), e.Phase)
	}
	switch {
	case w != nil && w.seq == e.Seq:
		w.until = s.now.Lease + a.WaiterTTL
		return nil
	case w != nil && !s.dead(w):
		return broken("same attempt, same place", "%s had place %d and now has %d", name(a.ID), w.seq, e.Seq)
	}
	// It is new, or it was passed over and starts again.
	o.endWait(a.ID)
	for i := range o.line {
		if o.line[i].seq >= e.Seq {
			return broken("fifo", "newcomer %s got place %d, before %s at %d", name(a.ID), e.Seq, name(o.line[i].attempt.ID), o.line[i].seq)
		}
	}
	o.line = append(o.line, wait{attempt: *a, seq: e.Seq, until: s.now.Lease + a.WaiterTTL})
	return nil
}

func (o *observer) judgeRelease(s *sight, h *hold, w *wait, live bool) error {
	id := s.order.attempt.ID
	switch {
	case w != nil && s.dead(w) && s.res.Status == lockqueue.Lost: // It was passed over before.
		o.endWait(id)
		return nil
	case w != nil:
		o.endWait(id)
		if s.res.Entry.ID != id || s.res.Entry.Phase != lockqueue.Waiting {
			return broken("answer", "the withdrawn %s comes back as %s in phase %d", name(id), name(s.res.Entry.ID), s.res.Entry.Phase)
		}
		return s.want(lockqueue.OK)
	case h == nil:
		return s.want(lockqueue.Lost)
	case h.phase == lockqueue.Released:
		return s.want(lockqueue.OK)
	case h.phase == lockqueue.Broken:
		o.endHold(id)
		return s.want(lockqueue.Lost)
	case !live: // It ran out, and its minimum hold keeps the key.
		return s.want(lockqueue.Lost)
	}
	if err := s.wantLease(lockqueue.OK, h); err != nil {
		return err
	}
	if h.since+h.minHold > s.now.Lease {
		h.phase = lockqueue.Released
	} else {
		o.endHold(id)
	}
	return nil
}

func (s *sight) want(status lockqueue.Status) error {
	if s.res.Status != status {
		return broken("answer", "got status %d, want %d", s.res.Status, status)
	}
	return nil
}

// wantLease checks that the answer is about the lease that is known.
func (s *sight) wantLease(status lockqueue.Status, h *hold) error {
	if err := s.want(status); err != nil {
		return err
	}
	if e := &s.res.Entry; e.ID != h.id || e.Token != h.token {
		return broken("same attempt, same token", "%s has token %d; the answer is about %s, token %d", name(h.id), h.token, name(e.ID), e.Token)
	}
	return nil
}
