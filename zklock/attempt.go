package zklock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
)

// An attempt is one acquisition and then its lease, from the first request to the
// moment at which its node is gone. The first steps to the grant are done by the call
// that begins it, and all others by one goroutine, run, for which calls wait.
type attempt struct {
	d       *Driver
	req     driver.Request
	folder  string
	opening string
	life    context.Context //nolint:containedctx // It ends when nobody waits for the grant any more.
	stop    context.CancelCauseFunc
	done    chan struct{} // closed when it is granted, or over
	news    chan struct{} // has room for one: a watch has heard

	// These belong to begin and then to run until done is closed.
	slot   *slot
	sent   *sending  // whose outcome nobody has looked at yet
	stands *place    // when the node was made, and nobody has looked at it yet
	plan   plan      // by which the node was made
	node   string    // the path of the node; empty while it is not known
	reply  *zk.Reply // of the server that made it, or found it
	own    *zk.Watch
	waited bool
	lowest bool // no older node was left at the grant

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

// begin takes the first steps of an attempt, and leaves the others to run: a key that
// is free is had without another goroutine. It returns when ctx or the attempt's life
// ends, but may be in the middle of a write then.
func (a *attempt) begin(ctx context.Context) {
	if !a.isHeldAtOnce(ctx) {
		go func() {
			defer a.d.work.Done()
			a.run()
		}()
		return
	}
	a.hold(&a.reply.Stat, a.reply.Sent)
	a.d.work.Done()
}

func (a *attempt) isHeldAtOnce(ctx context.Context) bool {
	a.slot = a.d.sessions.getReady(a.req.TTL)
	if a.slot == nil || !a.slot.beginList(ctx) {
		return false
	}
	defer a.slot.endList()
	if a.send() != nil {
		return false
	}
	select {
	case <-a.sent.last().Done():
	case <-ctx.Done():
		return false
	case <-a.life.Done():
		return false
	}
	made, err := a.sent.making.Wait(ctx)
	if err != nil {
		return false
	}
	a.stands, err = a.made(ctx, made)
	return err == nil && a.stands.holds()
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
	a.forgetPlan()
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
		if a.slot == nil {
			it, err := a.d.sessions.get(ctx, a.req.TTL)
			if err != nil {
				return nil, 0, err
			}
			a.slot = it
		}
		it := a.slot
		stat, proven, err := a.queue(ctx)
		if err == nil {
			return stat, proven, nil
		}
		if it.session.Err() == nil || ctx.Err() != nil || try == sessionTries {
			return nil, 0, explain(err)
		}
		// The node has gone with the session, or goes within the same time.
		a.forgetPlan()
		a.slot, a.sent, a.stands, a.node, a.reply, a.own = nil, nil, nil, "", nil, nil
		it.give()
	}
}

// queue makes the node, and waits until nobody before it counts.
func (a *attempt) queue(ctx context.Context) (*zk.Stat, driver.Instant, error) {
	if a.stands == nil {
		var err error
		if a.stands, err = a.make(ctx); err != nil {
			return nil, 0, err
		}
	}
	it := a.stands
	switch {
	case it.at < 0:
		return nil, 0, errWithdrawn // Somebody has deleted it.
	case it.holds():
		return &a.reply.Stat, a.reply.Sent, nil
	case it.line.limit() != a.req.Limit:
		return nil, 0, &driver.LimitError{Key: a.req.Key, InUse: it.line.limit(), Asked: a.req.Limit}
	}
	if a.req.NoWait {
		return nil, 0, a.giveWay(ctx, it.line)
	}
	a.waited = true
	blockers := it.line.blockers(it.at)
	it.line = nil // It may be long, and the wait as well.
	proven, err := a.wait(ctx, blockers)
	return &a.reply.Stat, proven, err
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
