package zklock

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
)

// provenPart is the part of the TTL after which a grant needs a fresh proof that
// the session lives.
const provenPart = 4

// watchOwnAfter is how long an attempt waits before it watches its own node too, if
// it did not from the start: somebody may delete it.
const watchOwnAfter = time.Second

// A blocker is one that stands before an attempt, and is watched.
type blocker struct {
	entry

	watch *zk.Watch // nil while it is not watched
	held  bool      // it was seen to hold: what a node of the line says changes only then
	gone  bool
}

// isAlone reports whether nothing older than it counts: it has held, and holds alone.
func (b *blocker) isAlone() bool { return b.held && b.mode == driver.Exclusive && b.limit == 1 }

// A wait is the time that an attempt stands in line. It holds when fewer than its
// limit are left of those that count, and none that came with another limit. So it
// watches as many as its limit, the nearest, and all of another limit: as long as
// those are there, there is no room. With a limit of 1 that is the one just before
// it. When one goes it lists the folder again, unless it has watched all that there
// were, or the one that has gone was seen to hold alone: then all before that one had
// gone. Long lists are costly, and who holds for long is seen to, see tellSince.
type wait struct {
	*attempt

	s        *zk.Session
	blockers []*blocker
	all      bool // there is no other blocker
	ownToo   bool // the own node is watched
	armed    int  // the session's connections when the own node was watched
}

func (a *attempt) wait(ctx context.Context, blockers line) (proven driver.Instant, err error) {
	w := &wait{attempt: a, s: a.session()}
	w.take(blockers)
	w.ownToo = w.all
	defer w.unwatch()
	timer := time.NewTimer(watchOwnAfter)
	defer timer.Stop()
	for {
		if err := w.watch(ctx); err != nil {
			return 0, err
		}
		settled, err := w.look()
		if err != nil {
			return 0, err
		}
		if len(w.blockers) == 1 && w.blockers[0].isAlone() && !w.all {
			w.all, w.ownToo = true, true
			continue
		}
		switch gone, room := w.count(); {
		case w.all && room:
			return w.prove(ctx)
		case gone && !w.all:
			l, at, err := w.again(ctx)
			if err != nil {
				return 0, err
			}
			if at < 0 {
				return 0, errWithdrawn
			}
			if l.holds(at) {
				return w.fresh(ctx)
			}
			w.take(l.blockers(at))
			continue
		case !settled:
			continue
		}
		select {
		case <-a.news:
		case <-timer.C:
			w.ownToo = true
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-w.s.Done():
			return 0, w.s.Err()
		}
	}
}

// again finds the place in line anew.
func (w *wait) again(ctx context.Context) (l line, at int, err error) {
	if !w.slot.beginList(ctx) {
		return nil, 0, context.Cause(ctx)
	}
	defer w.slot.endList()
	names, err := w.list(ctx, w.s.Start(&zk.Children{Path: w.folder})[0])
	if err != nil {
		return nil, 0, err
	}
	l = parseLineTo(names, w.node)
	return l, l.place(w.node), nil
}

// take chooses whom to watch.
func (w *wait) take(blockers line) {
	known := w.blockers
	w.blockers = nil
	same := 0
	for i := len(blockers) - 1; i >= 0; i-- {
		if blockers[i].limit == w.req.Limit {
			if same++; same > w.req.Limit {
				continue
			}
		}
		at := slices.IndexFunc(known, func(b *blocker) bool { return b.name == blockers[i].name && !b.gone })
		if at < 0 {
			b := &blocker{entry: blockers[i]}
			b.name = strings.Clone(b.name) // It is a part of a list, which may be long.
			w.blockers = append(w.blockers, b)
			continue
		}
		w.blockers = append(w.blockers, known[at])
		known = slices.Delete(known, at, at+1)
	}
	w.all = len(w.blockers) == len(blockers)
	for _, b := range known { // Those that went unseen.
		if b.watch != nil {
			b.watch.Cancel()
		}
	}
}

// count says whether any has gone, and whether those that are left leave room if
// there are no others.
func (w *wait) count() (gone, room bool) {
	same, other := 0, 0
	for _, b := range w.blockers {
		switch {
		case b.gone:
			gone = true
		case b.limit == w.req.Limit:
			same++
		default:
			other++
		}
	}
	return gone, same < w.req.Limit && other == 0
}

// watch sets the watches that are missing, all in one go. The watch on the own node
// comes first: events come in the order in which things happened, so when it is
// heard that another node has gone, and nothing of the own, then the own was there
// at that moment.
func (w *wait) watch(ctx context.Context) error {
	var requests []zk.Request
	ownToo := w.ownToo && w.own == nil
	if ownToo {
		w.armed = w.s.Connections()
		w.own = w.s.NewWatch(w.hear)
		requests = append(requests, &zk.Get{Path: w.node, Watch: w.own})
	}
	var watched []*blocker
	for _, b := range w.blockers {
		if b.watch == nil && !b.gone {
			b.watch = w.s.NewWatch(w.hear)
			watched = append(watched, b)
			requests = append(requests, &zk.Get{Path: w.folder + "/" + b.name, Watch: b.watch})
		}
	}
	var failed error
	for i, call := range w.s.Start(requests...) {
		reply, err := call.Wait(ctx)
		isOwn := ownToo && i == 0
		var b *blocker
		if !isOwn {
			if ownToo {
				i--
			}
			b = watched[i]
		}
		switch {
		case err == nil && isOwn:
		case err == nil:
			b.held = b.held || reply.Stat.Version > 0
		case errors.Is(err, zk.NoNode) && isOwn:
			failed = errWithdrawn
		case errors.Is(err, zk.NoNode):
			b.gone, b.watch = true, nil
		case isLost(err) && ctx.Err() == nil && w.s.Err() == nil: // It is set at the next look.
			if isOwn {
				w.own = nil
			} else {
				b.watch = nil
			}
		case failed == nil:
			failed = err
		}
	}
	return failed
}

// look takes in what the watches have heard. settled is false if some of them have
// to be set anew before anything can be waited for.
func (w *wait) look() (settled bool, err error) {
	for _, b := range w.blockers {
		if b.watch == nil {
			continue
		}
		switch b.watch.Fired() {
		case zk.Deleted:
			b.gone, b.watch = true, nil
		case zk.Over:
			return false, zk.ErrExpired
		case zk.Changed, zk.Created:
			b.watch = nil
		}
	}
	// After the others: what happened to it before is there by now.
	switch {
	case w.own == nil:
		return !w.ownToo && w.settled(), nil
	case w.own.Fired() == zk.Deleted:
		return false, errWithdrawn
	case w.own.Fired() == zk.Over:
		return false, zk.ErrExpired
	case w.own.Fired() != 0:
		w.own = nil
		return false, nil
	}
	return w.settled(), nil
}

func (w *wait) settled() bool {
	return !slices.ContainsFunc(w.blockers, func(b *blocker) bool { return b.watch == nil && !b.gone })
}

// prove returns since when the lease surely lives. It asks for the own node if the
// session had another connection since that is watched: what happened meanwhile is
// heard in no order.
func (w *wait) prove(ctx context.Context) (driver.Instant, error) {
	if w.own != nil && w.s.Connections() == w.armed {
		return w.fresh(ctx)
	}
	for {
		_, err := w.s.Start(&zk.Get{Path: w.node})[0].Wait(ctx)
		switch {
		case err == nil:
			return w.fresh(ctx)
		case errors.Is(err, zk.NoNode):
			return 0, errWithdrawn
		case isLost(err) && ctx.Err() == nil && w.s.Err() == nil:
		default:
			return 0, err
		}
	}
}

// fresh returns when the session was last proven to live, by a Check if that was too
// long ago to leave much of the TTL.
func (w *wait) fresh(ctx context.Context) (driver.Instant, error) {
	written := w.s.WrittenAt()
	for driver.SystemClock().Sub(written) > w.req.TTL/provenPart {
		reply, err := w.s.Start(&zk.Check{Path: w.node, Version: -1})[0].Wait(ctx)
		switch {
		case err == nil:
			return reply.Sent, nil
		case errors.Is(err, zk.NoNode):
			return 0, errWithdrawn
		case isLost(err) && ctx.Err() == nil && w.s.Err() == nil:
		default:
			return 0, err
		}
	}
	return written, nil
}

func (w *wait) unwatch() {
	for _, b := range w.blockers {
		if b.watch != nil {
			b.watch.Cancel()
		}
	}
}
