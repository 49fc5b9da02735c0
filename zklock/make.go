package zklock

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
)

// A sending is what was sent to make a node. Its calls are those of one connection.
type sending struct {
	plan     plan
	watching *zk.Call // nil unless the plan has a watch
	making   *zk.Call
	listing  *zk.Call // nil if the plan trusts
}

// last is the call that is answered last.
func (p *sending) last() *zk.Call {
	if p.listing != nil {
		return p.listing
	}
	return p.making
}

// send sends what makes the node, and lists the folder behind it, in one go: the
// server lists what it has when the node is there, so all older ones are in it.
func (a *attempt) send() error {
	data, err := (&record{Owner: a.req.Owner, TTL: a.req.TTL.Milliseconds(), Metadata: a.req.Metadata}).data()
	if err != nil {
		return err
	}
	s := a.session()
	p := &sending{plan: a.slot.floors.plan(s, a.folder)}
	requests := make([]zk.Request, 0, 3) //nolint:mnd // As many as there can be.
	if p.plan.watch != nil {
		requests = append(requests, &zk.Exists{Path: a.folder, Watch: p.plan.watch})
	}
	requests = append(requests, &zk.Create{Path: a.folder + "/" + a.opening, Data: data, ACL: a.d.acl, Mode: zk.EphemeralSequential})
	if !p.plan.trust {
		requests = append(requests, &zk.Children{Path: a.folder})
	}
	calls := s.Start(requests...)
	if p.plan.watch != nil {
		p.watching, calls = calls[0], calls[1:]
	}
	p.making = calls[0]
	if !p.plan.trust {
		p.listing = calls[1]
	}
	a.sent = p
	return nil
}

// forgetPlan gives up what was to be learned of the folder.
func (a *attempt) forgetPlan() {
	a.unsend()
	if a.plan.watch != nil {
		a.plan.watch.Cancel()
	}
	a.plan = plan{}
}

// makeTries bounds how often a folder may go just before the node is made in it,
// and how often an answer may be lost.
const makeTries = 10

// make makes the node and finds its place.
func (a *attempt) make(ctx context.Context) (*place, error) {
	if !a.slot.beginList(ctx) {
		return nil, context.Cause(ctx)
	}
	defer a.slot.endList()
	if a.node != "" { // It was made at once, but the list was lost.
		return a.places(ctx, nil)
	}
	for range makeTries {
		if a.sent == nil {
			if err := a.send(); err != nil {
				return nil, err
			}
		}
		made, err := a.sent.making.Wait(ctx)
		switch {
		case err == nil:
			return a.made(ctx, made)
		case errors.Is(err, zk.NoNode):
			a.unsend()
			if err := a.d.makeFolder(ctx, a.session(), a.folder); err != nil {
				return nil, err
			}
			continue
		case errors.Is(err, zk.ErrUnknown) && ctx.Err() == nil && a.session().Err() == nil:
			made, names, err := a.search(ctx)
			if err != nil {
				return nil, err
			}
			a.unsend()
			if made != nil {
				return a.placeIn(names), nil
			}
			continue // It has not run, and cannot any more.
		case !errors.Is(err, zk.ErrUnknown):
			a.unsend()
		}
		return nil, err
	}
	return nil, fmt.Errorf("%w: the folder of the key went %d times while a node was made in it", driver.ErrUnavailable, makeTries)
}

// made finds the place of a node whose making a server has just answered.
func (a *attempt) made(ctx context.Context, made *zk.Reply) (*place, error) {
	sent := a.sent
	a.sent, a.plan, a.node, a.reply = nil, sent.plan, made.Path, made
	if sent.watching != nil {
		if _, err := sent.watching.Wait(ctx); err != nil {
			a.forgetPlan()
		}
	}
	if a.slot.floors.isFirst(a.session(), &a.plan, number(a.node)) {
		return a.placeIn([]string{path.Base(a.node)}), nil
	}
	return a.places(ctx, sent.listing)
}

// places finds the node's place with a list, which may be under way.
func (a *attempt) places(ctx context.Context, listing *zk.Call) (*place, error) {
	if listing == nil {
		listing = a.session().Start(&zk.Children{Path: a.folder})[0]
	}
	names, err := a.list(ctx, listing)
	if err != nil {
		return nil, err
	}
	return a.placeIn(names), nil
}

// A place is that of a node in line when it was made.
type place struct {
	line line
	at   int // -1 if somebody has deleted it
}

func (p *place) holds() bool { return p.at >= 0 && p.line.holds(p.at) }

func (a *attempt) placeIn(names []string) *place {
	l := parseLineTo(names, a.node)
	p := &place{l, l.place(a.node)}
	if p.at != 0 {
		a.slot.floors.crowded(a.folder)
	}
	return p
}

// unsend drops what was sent and has come to nothing.
func (a *attempt) unsend() {
	if a.sent != nil && a.sent.plan.watch != nil {
		a.sent.plan.watch.Cancel()
	}
	a.sent = nil
}

// list waits for a list, and asks again if the answer was lost: on whatever server,
// it cannot be older than what this session has seen.
func (a *attempt) list(ctx context.Context, call *zk.Call) ([]string, error) {
	for {
		reply, err := call.Wait(ctx)
		if err == nil {
			return reply.Children, nil
		}
		if !isLost(err) || ctx.Err() != nil || a.session().Err() != nil {
			return nil, err
		}
		call = a.session().Start(&zk.Children{Path: a.folder})[0]
	}
}

// isLost reports whether a request that changes nothing may be sent again.
func isLost(err error) bool { return errors.Is(err, zk.ErrUnknown) || errors.Is(err, zk.ErrNotSent) }

// search looks for the node of a create whose answer was lost. By now the session
// has another connection, and what came over the old one has run or never will. The
// server may be another one, or one that the others have left, so a Check goes first:
// behind its answer there is nothing older. It goes on until it knows, ctx ends, or
// the session.
func (a *attempt) search(ctx context.Context) (*zk.Reply, []string, error) {
	s := a.session()
	for pause := removePause; ; pause = min(2*pause, removePauseMost) {
		calls := s.Start(&zk.Check{Path: a.folder, Version: -1}, &zk.Children{Path: a.folder})
		_, err := calls[0].Wait(ctx)
		var listed *zk.Reply
		if err == nil { // What a server lists that did not catch up proves nothing.
			listed, err = calls[1].Wait(ctx)
		}
		if errors.Is(err, zk.NoNode) {
			return nil, nil, nil
		}
		var found *zk.Reply
		if err == nil {
			found, err = a.adopt(ctx, listed.Children)
		}
		switch {
		case err == nil:
			return found, listed.Children, nil
		case ctx.Err() != nil || s.Err() != nil:
			return nil, nil, err
		case !isLost(err) && !rest(ctx, pause): // A server refused, such as one that is overloaded.
			return nil, nil, err
		}
	}
}

// rest pauses, and reports whether ctx lives still.
func rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// adopt takes the attempt's node out of a list for its own if it is there and
// belongs to this session: it may be left over from an earlier one.
func (a *attempt) adopt(ctx context.Context, names []string) (*zk.Reply, error) {
	s := a.session()
	for _, name := range names {
		if !strings.HasPrefix(name, a.opening) {
			continue
		}
		path := a.folder + "/" + name
		found, err := s.Start(&zk.Get{Path: path})[0].Wait(ctx)
		switch {
		case err == nil && found.Stat.EphemeralOwner == s.ID():
			a.node, a.reply, found.Sent = path, found, s.WrittenAt()
			return found, nil
		case err != nil && !errors.Is(err, zk.NoNode):
			return nil, err
		}
	}
	return nil, nil //nolint:nilnil // None is no error.
}

// makeFolder makes the folder of a key, and the root.
func (d *Driver) makeFolder(ctx context.Context, s *zk.Session, folder string) error {
	var requests []zk.Request
	for at, c := range d.options.Root {
		if c == '/' && at > 0 {
			requests = append(requests, &zk.Create{Path: d.options.Root[:at], ACL: d.acl, Mode: zk.Persistent})
		}
	}
	requests = append(requests, &zk.Create{Path: d.options.Root, ACL: d.acl, Mode: zk.Persistent}, &zk.Create{Path: folder, ACL: d.acl, Mode: zk.Container})
	for {
		var err error // Only of the last one: a parent that cannot be made may be there.
		for _, call := range s.Start(requests...) {
			_, err = call.Wait(ctx)
		}
		switch {
		case err == nil, errors.Is(err, zk.NodeExists):
			return nil
		case isLost(err) && ctx.Err() == nil && s.Err() == nil:
			continue
		default:
			return err
		}
	}
}
