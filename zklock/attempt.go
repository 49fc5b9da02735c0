package zklock

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
)

// An attempt is one acquisition and then its lease, from the first request to the
// moment at which its node is gone. All that waits for a server on its way to the
// grant is done by one goroutine, run; calls wait for that one.
type attempt struct {
	d       *Driver
	req     driver.Request
	folder  string
	opening string
	life    context.Context //nolint:containedctx // It ends when nobody waits for the grant any more.
	stop    context.CancelCauseFunc
	done    chan struct{} // closed when it is granted, or over
	news    chan struct{} // has room for one: a watch has heard

	// These belong to run until done is closed.
	slot   *slot
	making *zk.Call // the create whose outcome nobody has looked at yet
	node   string   // the path of the node; empty while it is not known
	own    *zk.Watch
	waited bool

	mu      sync.Mutex
	calls   int
	err     error          // why it was not granted
	token   uint64         // of the grant
	proven  driver.Instant // at the grant
	held    bool
	broken  bool
	leaving bool           // somebody ends the lease
	version int32          // of the node's data, as far as it was changed here
	renewed driver.Instant // when the lease was last proven to live
	guard   *time.Timer
	gone    chan struct{} // closed when the lease is over
}

func newAttempt(d *Driver, req *driver.Request) *attempt {
	a := &attempt{
		d: d, req: *req, folder: d.folder(req.Key), opening: opening(req.Mode, req.Limit, req.ID),
		done: make(chan struct{}), news: make(chan struct{}, 1), gone: make(chan struct{}),
	}
	a.life, a.stop = context.WithCancelCause(d.life)
	return a
}

func (a *attempt) session() *zk.Session { return a.slot.session }

// isHeld reports whether the attempt is a lease.
func (a *attempt) isHeld() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held
}

// heldIn is the session of an attempt that is a lease.
func (a *attempt) heldIn() *zk.Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.held {
		return nil
	}
	return a.session()
}

// hear tells the attempt's goroutine to look at its watches.
func (a *attempt) hear() {
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// run brings the attempt to its end: a grant, or a node that is gone.
func (a *attempt) run() {
	stat, proven, err := a.obtain(a.life)
	if err == nil {
		a.hold(stat, proven)
		return
	}
	if cause := context.Cause(a.life); cause != nil {
		err = cause
	}
	if a.leave() {
		a.finish(err)
		return
	}
	a.mu.Lock()
	a.err = fmt.Errorf("%w: the attempt is still being withdrawn: %w", driver.ErrAmbiguous, err)
	a.mu.Unlock()
	close(a.done)
	a.reap(a.session())
}

// finish forgets an attempt that is over. err is why it was not granted.
func (a *attempt) finish(err error) {
	a.d.forget(a)
	a.mu.Lock()
	if a.err == nil {
		a.err = err
	}
	a.held = false
	if a.guard != nil {
		a.guard.Stop()
	}
	a.mu.Unlock()
	a.stop(errIsOver)
	if a.slot != nil {
		a.slot.give()
	}
	select {
	case <-a.done:
	default:
		close(a.done)
	}
	close(a.gone)
}

func (d *Driver) forget(a *attempt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.attempts[a.req.ID] == a {
		delete(d.attempts, a.req.ID)
	}
}

// sessionTries is how often an attempt whose session ended before it was granted
// begins anew in another one, at the end of the line.
const sessionTries = 3

// obtain stands in line until the grant.
func (a *attempt) obtain(ctx context.Context) (*zk.Stat, driver.Instant, error) {
	for try := 1; ; try++ {
		it, err := a.d.sessions.get(ctx, a.req.TTL)
		if err != nil {
			return nil, 0, err
		}
		a.slot = it
		stat, proven, err := a.queue(ctx)
		if err == nil {
			return stat, proven, nil
		}
		if it.session.Err() == nil || ctx.Err() != nil || try == sessionTries {
			return nil, 0, explain(err)
		}
		// The node has gone with the session, or goes within the same time.
		a.slot, a.making, a.node, a.own = nil, nil, "", nil
		it.give()
	}
}

// queue makes the node, and waits until nobody before it counts.
func (a *attempt) queue(ctx context.Context) (*zk.Stat, driver.Instant, error) {
	made, names, err := a.make(ctx)
	if err != nil {
		return nil, 0, err
	}
	l := parseLine(names)
	at := l.place(a.node)
	switch {
	case at < 0:
		return nil, 0, errWithdrawn // Somebody has deleted it.
	case l.holds(at):
		return &made.Stat, made.Sent, nil
	case l.limit() != a.req.Limit:
		return nil, 0, &driver.LimitError{Key: a.req.Key, InUse: l.limit(), Asked: a.req.Limit}
	}
	if a.req.NoWait {
		return nil, 0, a.giveWay(ctx, l)
	}
	a.waited = true
	proven, err := a.wait(ctx, l.blockers(at))
	return &made.Stat, proven, err
}

// giveWay deletes the node of an attempt that will not wait, and says who holds.
func (a *attempt) giveWay(ctx context.Context, l line) error {
	s := a.session()
	gone := s.Start(&zk.Delete{Path: a.node, Version: -1})[0]
	holders, err := a.d.holders(ctx, s, a.folder, l)
	if _, deleted := gone.Wait(ctx); deleted == nil || errors.Is(deleted, zk.NoNode) {
		a.node = ""
	}
	if err != nil {
		return err
	}
	return &driver.BusyError{Key: a.req.Key, Limit: l.limit(), Holders: holders}
}

// makeTries bounds how often a folder may go just before the node is made in it,
// and how often an answer may be lost.
const makeTries = 10

// make makes the node and lists the folder behind it, in one go: the server lists
// what it has when the node is there, so all older ones are in it.
func (a *attempt) make(ctx context.Context) (*zk.Reply, []string, error) {
	data, err := (&record{Owner: a.req.Owner, TTL: a.req.TTL.Milliseconds(), Metadata: a.req.Metadata}).data()
	if err != nil {
		return nil, nil, err
	}
	s := a.session()
	for range makeTries {
		calls := s.Start(&zk.Create{Path: a.folder + "/" + a.opening, Data: data, ACL: a.d.acl, Mode: zk.EphemeralSequential}, &zk.Children{Path: a.folder})
		a.making = calls[0]
		made, err := calls[0].Wait(ctx)
		switch {
		case err == nil:
			a.making, a.node = nil, made.Path
			names, err := a.list(ctx, calls[1])
			return made, names, err
		case errors.Is(err, zk.NoNode):
			a.making = nil
			if err := a.d.makeFolder(ctx, s, a.folder); err != nil {
				return nil, nil, err
			}
			continue
		case errors.Is(err, zk.ErrUnknown) && ctx.Err() == nil && s.Err() == nil:
			made, names, err := a.search(ctx)
			if err != nil {
				return nil, nil, err
			}
			a.making = nil
			if made != nil {
				return made, names, nil
			}
			continue // It has not run, and cannot any more.
		case !errors.Is(err, zk.ErrUnknown):
			a.making = nil
		}
		return nil, nil, err
	}
	return nil, nil, fmt.Errorf("%w: the folder of the key went %d times while a node was made in it", driver.ErrUnavailable, makeTries)
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
// server may be another one, so it catches up first. It goes on until it knows, ctx
// ends, or the session.
func (a *attempt) search(ctx context.Context) (*zk.Reply, []string, error) {
	s := a.session()
	for pause := removePause; ; pause = min(2*pause, removePauseMost) {
		calls := s.Start(&zk.Sync{Path: a.folder}, &zk.Children{Path: a.folder})
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
			a.node, found.Sent = path, s.LedAt()
			return found, nil
		case err != nil && !errors.Is(err, zk.NoNode):
			return nil, err
		}
	}
	return nil, nil //nolint:nilnil // None is no error.
}

// leave deletes the node of an attempt that was not granted, and reports whether it
// is surely gone. It takes no longer than the session can live without a server.
func (a *attempt) leave() bool {
	if a.slot == nil {
		return true
	}
	s := a.session()
	ctx, cancel := context.WithTimeout(a.d.life, s.Timeout()+closeLimit)
	defer cancel()
	if a.making != nil { // Its call ends with its answer, its connection or the session.
		made, err := a.making.Wait(ctx)
		switch {
		case err == nil:
			a.node = made.Path
		case errors.Is(err, zk.ErrUnknown):
			if _, _, err := a.search(ctx); err != nil {
				return false
			}
		}
	}
	if a.own != nil {
		defer a.own.Cancel()
	}
	return a.node == "" || a.d.remove(ctx, s, a.node, -1) == nil
}

// removePause is the pause after a server has refused what has to be done, such as
// one that is overloaded. It doubles up to removePauseMost.
const (
	removePause     = 20 * time.Millisecond
	removePauseMost = time.Second
)

// remove deletes a node for certain: it goes on until a server has answered, ctx
// ends, or the session. NoNode is an error only at the first try.
func (d *Driver) remove(ctx context.Context, s *zk.Session, path string, version int32) error {
	unsure := false
	for pause := removePause; ; {
		_, err := s.Start(&zk.Delete{Path: path, Version: version})[0].Wait(ctx)
		var refused zk.Code
		switch {
		case err == nil, unsure && errors.Is(err, zk.NoNode):
			return nil
		case errors.Is(err, zk.NoNode), errors.Is(err, zk.BadVersion):
			return err
		case ctx.Err() != nil || s.Err() != nil:
			if unsure && errors.Is(err, zk.ErrNotSent) {
				err = fmt.Errorf("%w: %w", zk.ErrUnknown, err)
			}
			return err
		case errors.As(err, &refused):
			if !rest(ctx, pause) {
				return err
			}
			pause = min(2*pause, removePauseMost)
		default:
			unsure = true
		}
	}
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
