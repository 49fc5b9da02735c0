package lockqueue_test

import (
	"slices"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// judgeGrants checks each grant of the command in the order of the tokens:
// the token rises, and nobody was overtaken who could have been granted.
func (o *observer) judgeGrants(s *sight) error {
	for i := range s.res.Woken {
		e := &s.res.Woken[i]
		switch {
		case i > 0 && e.Token <= s.res.Woken[i-1].Token:
			return broken("tokens rise", "woken with token %d after %d", e.Token, s.res.Woken[i-1].Token)
		case len(s.granted) > 0 && e.ID == s.order.attempt.ID:
			return broken("woken", "the sender %s is woken and answered", name(e.ID))
		case o.wait(e.ID) == nil:
			return broken("woken", "%s is woken and did not wait", name(e.ID))
		case s.dead(o.wait(e.ID)):
			return broken("woken", "%s is woken and is dead", name(e.ID))
		}
	}
	s.granted = append(s.granted, s.res.Woken...)
	slices.SortFunc(s.granted, func(a, b lockqueue.Entry) int {
		if a.Token < b.Token {
			return -1
		}
		return 1
	})
	for i := range s.granted {
		if err := o.judgeGrant(s, &s.granted[i]); err != nil {
			return err
		}
	}
	return nil
}

func (o *observer) judgeGrant(s *sight, e *lockqueue.Entry) error {
	w := o.wait(e.ID)
	if w == nil {
		return broken("woken", "%s is granted twice", name(e.ID))
	}
	a := w.attempt
	switch {
	case e.Token <= o.last:
		return broken("tokens rise", "%s got token %d after %d", name(e.ID), e.Token, o.last)
	case e.Token < 1 || int64(e.Token) < int64(s.now.Wall):
		return broken("tokens rise", "%s got token %d at %d on the wall clock", name(e.ID), e.Token, s.now.Wall)
	case e.Phase != lockqueue.Held || e.Mode != a.Mode || e.Tokens != a.Tokens || e.MinHold != a.MinHold:
		return broken("grant", "%s asked for %+v and got %+v", name(e.ID), a, *e)
	case e.Since != s.now.Lease || e.SinceWall != s.now.Wall || e.Expires != s.now.Lease+a.TTL:
		return broken("grant", "the TTL of %s is not counted from the grant: %+v", name(e.ID), *e)
	}
	o.last = e.Token + uint64(a.Tokens) - 1
	// Who stood before it and still stands must be dead, and has lost its
	// place for good.
	for o.line[0].attempt.ID != e.ID {
		if !s.dead(&o.line[0]) {
			return broken("fifo", "%s is granted before %s", name(e.ID), name(o.line[0].attempt.ID))
		}
		o.line = o.line[1:]
		s.gone++
	}
	o.line = slices.Clone(o.line[1:])
	o.holds = append(o.holds, hold{
		id: a.ID, mode: a.Mode, limit: a.Limit, phase: lockqueue.Held,
		token: e.Token, since: s.now.Lease, minHold: a.MinHold, expires: s.now.Lease + a.TTL,
	})
	return nil
}

// judgeHolders compares the leases in the store with those in the books.
func (o *observer) judgeHolders(s *sight) error {
	in := s.after.holders
	if s.after.key.Held != len(in) {
		return broken("counts", "the key counts %d holders, there are %d", s.after.key.Held, len(in))
	}
	for i := range in {
		switch h := o.hold(in[i].ID); {
		case h == nil:
			return broken("no orphan", "%s holds the key and should not", name(in[i].ID))
		case in[i].Token != h.token || in[i].Phase != h.phase || in[i].Since != h.since:
			return broken("books", "%s is held as %+v, should be %+v", name(h.id), in[i], *h)
		case in[i].Until() != h.until() || h.phase == lockqueue.Held && in[i].Expires != h.expires:
			return broken("lease keeps its time", "%s ends at %d, should end at %d", name(h.id), in[i].Until(), h.until())
		}
	}
	for i := range o.holds {
		if i >= len(in) || in[i].ID != o.holds[i].id {
			return broken("lease keeps its time", "%s is gone at %d, before its end at %d", name(o.holds[i].id), s.now.Lease, o.holds[i].until())
		}
	}
	return nil
}

// judgeLine compares the line in the store with the one in the books. Only the
// dead may be missing, and the first one may not be dead.
func (o *observer) judgeLine(s *sight) error {
	in := s.after.line
	if s.after.key.Waiting != len(in) {
		return broken("counts", "the key counts %d waiters, there are %d", s.after.key.Waiting, len(in))
	}
	kept := make([]wait, 0, len(in))
	for i := range o.line {
		w := &o.line[i]
		switch at := len(kept); {
		case at < len(in) && in[at].ID == w.attempt.ID:
			if in[at].Seq != w.seq || in[at].Expires != w.until || in[at].Phase != lockqueue.Waiting {
				return broken("books", "%s waits as %+v, should be %+v", name(w.attempt.ID), in[at], *w)
			}
			kept = append(kept, *w)
		case s.dead(w):
			s.gone++
		default:
			return broken("no lost waiter", "%s is not in line any more", name(w.attempt.ID))
		}
	}
	if len(kept) < len(in) {
		return broken("no orphan", "%s stands in line and should not", name(in[len(kept)].ID))
	}
	o.line = kept
	if len(o.line) > 0 && o.line[0].until <= s.now.Lease {
		return broken("dead are passed over", "%s is dead and stands first", name(o.line[0].attempt.ID))
	}
	if first := len(in) > 0 && in[0].ID == s.order.attempt.ID; s.res.First != (first && s.res.Status == lockqueue.Queued) {
		return broken("answer", "first is %v", s.res.First)
	}
	return nil
}

// judgeExclusion checks that those who hold may hold together.
func (o *observer) judgeExclusion(s *sight) error {
	shared := 0
	limit := s.after.key.Limit
	for i := range o.holds {
		if o.holds[i].mode == driver.Shared {
			shared++
		}
		if o.holds[i].limit != limit {
			return broken("limit", "%s holds with limit %d, the key has %d", name(o.holds[i].id), o.holds[i].limit, limit)
		}
	}
	for i := range o.line {
		if o.line[i].attempt.Limit != limit {
			return broken("limit", "%s waits with limit %d, the key has %d", name(o.line[i].attempt.ID), o.line[i].attempt.Limit, limit)
		}
	}
	switch {
	case shared == len(o.holds):
		return nil
	case shared > 0:
		return broken("exclusion", "%d readers and %d writers hold together", shared, len(o.holds)-shared)
	case len(o.holds) > limit:
		return broken("exclusion", "%d hold with limit %d", len(o.holds), limit)
	}
	return nil
}

// room reports whether the holders leave room for one more.
func (o *observer) room(a *lockqueue.Attempt) bool {
	if len(o.holds) == 0 {
		return true
	}
	if a.Mode == driver.Shared {
		return o.holds[0].mode == driver.Shared
	}
	return o.holds[0].mode == driver.Exclusive && len(o.holds) < a.Limit
}

// judgeProgress checks that nobody stands in line who could be granted. One
// that was refused is judged as if it stood last.
func (o *observer) judgeProgress(s *sight) error {
	line := o.line
	if s.res.Status == lockqueue.Busy {
		line = append(slices.Clone(line), wait{attempt: s.order.attempt, until: s.now.Lease + 1})
	}
	for i := range line {
		w := &line[i]
		switch {
		case w.until <= s.now.Lease:
			continue
		case !o.room(&w.attempt):
			return nil
		case s.dead(w):
			continue
		}
		return broken("no lost waiter", "%s could be granted and waits", name(w.attempt.ID))
	}
	return nil
}

// judgeRefusal checks what a refusal tells.
func (o *observer) judgeRefusal(s *sight) error {
	asked := s.order.attempt.Limit
	switch s.res.Status {
	case lockqueue.LimitDiffers:
		if len(o.holds)+len(o.line) == 0 || s.res.Limit != s.after.key.Limit || s.res.Limit == asked {
			return broken("limit", "refused limit %d for limit %d; the key has %d", asked, s.res.Limit, s.after.key.Limit)
		}
	case lockqueue.Busy:
		told := s.res.Holders
		if len(told) == 0 || len(told) > 8 || len(told) < min(8, len(o.holds)-len(s.res.Woken)) || s.res.Limit != asked {
			return broken("busy", "%d of %d holders are named, limit %d", len(told), len(o.holds), s.res.Limit)
		}
		for i := range told {
			if told[i].ID != o.holds[i].id || told[i].Token != o.holds[i].token {
				return broken("busy", "holder %d is named as %s", i, name(told[i].ID))
			}
		}
	}
	return nil
}

// judgeDue checks that the answer names the next moment at which something
// gives way by itself.
func (o *observer) judgeDue(s *sight) error {
	has := len(o.holds) > 0 && len(o.line) > 0
	if s.res.HasDue != has {
		return broken("due", "has due is %v with %d holders and %d waiters", s.res.HasDue, len(o.holds), len(o.line))
	}
	if !has {
		return nil
	}
	due := o.line[0].until
	for i := range o.holds {
		due = min(due, o.holds[i].until())
	}
	if s.res.Due != due || due <= s.now.Lease {
		return broken("due", "due is %d, should be %d", s.res.Due, due)
	}
	return nil
}
