package zklock

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
)

const (
	// mostSessions bounds the distinct TTLs that are in use at a time.
	mostSessions = 16
	// linger is how long a session stays that nobody uses any more.
	linger = time.Minute
	// openLimit bounds the opening of a session.
	openLimit = 10 * time.Second
	// anyTimeout is asked for when a session is needed for no lease.
	anyTimeout = 10 * time.Second
	// mostLists bounds the lists of folders under way in a session. Those of a long
	// line are long, and the renewals of all leases in the session stand behind them.
	mostLists = 32
	// longestTimeout is what ZooKeeper can be asked for: ms in 32 bits.
	longestTimeout = (1<<31 - 1) * time.Millisecond
)

// sessions are those of a driver: one for each session timeout in use, because a
// lease's TTL is its session's.
type sessions struct {
	config zk.Config
	tick   time.Duration
	life   context.Context //nolint:containedctx // The driver's: it ends with Close.

	mu     sync.Mutex
	byTTL  map[time.Duration]*slot // 0: of no TTL, for looking
	past   map[int64]bool          // sessions of ours that are over
	closed bool
	work   sync.WaitGroup
}

// A slot is one session, or the try to open it.
type slot struct {
	all     *sessions
	ttl     time.Duration
	ready   chan struct{} // closed when one of the next two is set
	session *zk.Session
	err     error
	floors  floors
	lists   chan struct{} // has room for one thing for each list under way

	// Guarded by sessions.mu.
	users  int
	unused time.Time
	failed error // the last try of a server while it was opened
}

// timeout is that of a session for leases of a TTL, in whole ms.
//
// A lease counts from the moment at which a request was sent that the leader has
// answered. What the leader knows then of the session is what the client's server
// told it last, half a tick ago at most, with a tick for the way: the client's last
// sign of life before that. It gives one at least each sixth of the timeout. So the
// leader lets the session live for TTL from that moment if its timeout is this.
func (p *sessions) timeout(ttl time.Duration) time.Duration {
	if ttl == 0 {
		return anyTimeout
	}
	whole := (ttl + p.tick + p.tick/2) * zk.PingPart / (zk.PingPart - 1)
	return (whole + time.Millisecond - 1).Truncate(time.Millisecond)
}

// get returns a session for leases of a TTL; 0 means any. The caller gives it back.
func (p *sessions) get(ctx context.Context, ttl time.Duration) (*slot, error) {
	it, err := p.take(ttl)
	if err != nil {
		return nil, err
	}
	select {
	case <-it.ready:
		err = it.err
	case <-ctx.Done():
		err = it.late(context.Cause(ctx))
	case <-p.life.Done():
		err = driver.ErrClosed
	}
	if err != nil {
		it.give()
		return nil, err
	}
	return it, nil
}

// getReady returns a session for leases of a TTL if it is open already, or nil.
func (p *sessions) getReady(ttl time.Duration) *slot {
	it, err := p.take(ttl)
	if err != nil {
		return nil
	}
	if !isReady(it) {
		it.give()
		return nil
	}
	return it
}

func (p *sessions) take(ttl time.Duration) (*slot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, driver.ErrClosed
	}
	p.tidyLocked()
	it := p.byTTL[ttl]
	if it == nil && ttl == 0 {
		for _, other := range p.byTTL {
			if isReady(other) {
				it = other
				break
			}
		}
	}
	if it == nil {
		if len(p.byTTL) >= mostSessions && !p.evictLocked() {
			return nil, fmt.Errorf("open session: %w: leases with %d different TTLs are in use, and each takes a session of its own: use fewer", driver.ErrInvalid, mostSessions)
		}
		it = &slot{all: p, ttl: ttl, ready: make(chan struct{}), lists: make(chan struct{}, mostLists)}
		p.byTTL[ttl] = it
		p.work.Go(func() { p.open(it) })
	}
	it.users++
	return it, nil
}

// beginList waits until a list may be asked for, and reports whether ctx lives still.
// Who asked calls endList.
func (it *slot) beginList(ctx context.Context) bool {
	select {
	case it.lists <- struct{}{}:
		return true
	default:
	}
	select {
	case it.lists <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (it *slot) endList() { <-it.lists }

// late says that nobody waits any more for the session, and what has kept it.
func (it *slot) late(cause error) error {
	it.all.mu.Lock()
	defer it.all.mu.Unlock()
	if it.failed == nil {
		return fmt.Errorf("%w: open session: %w", driver.ErrUnavailable, cause)
	}
	return fmt.Errorf("%w: open session: %w: %w", driver.ErrUnavailable, cause, it.failed)
}

func isReady(it *slot) bool {
	select {
	case <-it.ready:
		return it.err == nil
	default:
		return false
	}
}

// tidyLocked forgets sessions that are over, and closes those nobody needs.
func (p *sessions) tidyLocked() {
	for ttl, it := range p.byTTL {
		select {
		case <-it.ready:
		default:
			continue
		}
		switch {
		case it.err != nil:
			delete(p.byTTL, ttl)
		case it.session.Err() != nil:
			p.pastLocked(it)
		case it.users == 0 && time.Since(it.unused) > linger:
			p.closeLocked(it)
		}
	}
}

func (p *sessions) pastLocked(it *slot) {
	if p.byTTL[it.ttl] == it {
		delete(p.byTTL, it.ttl)
	}
	if len(p.past) >= 4*mostSessions { // Their nodes are long gone.
		clear(p.past)
	}
	p.past[it.session.ID()] = true
}

// evictLocked closes the session that was not used for the longest time.
func (p *sessions) evictLocked() bool {
	var oldest *slot
	for _, it := range p.byTTL {
		if it.users == 0 && isReady(it) && (oldest == nil || it.unused.Before(oldest.unused)) {
			oldest = it
		}
	}
	if oldest != nil {
		p.closeLocked(oldest)
	}
	return oldest != nil
}

func (p *sessions) closeLocked(it *slot) {
	p.pastLocked(it)
	p.work.Go(func() {
		ctx, cancel := context.WithTimeout(p.life, closeLimit)
		defer cancel()
		_ = it.session.Close(ctx) // Else it expires.
	})
}

// open opens the session of a slot.
func (p *sessions) open(it *slot) {
	ctx, cancel := context.WithTimeout(p.life, openLimit)
	defer cancel()
	config := p.config
	config.Timeout = p.timeout(it.ttl)
	config.Failed = func(err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		it.failed = err
	}
	s, err := zk.Open(ctx, config)
	switch {
	case err != nil && p.life.Err() != nil:
		it.err = driver.ErrClosed
	case err != nil:
		it.err = refusedAtOpen(err)
	case it.ttl != 0 && s.Timeout() != config.Timeout:
		it.err = fmt.Errorf("open session: %w: the servers take sessions of %v at %s for a TTL of %v with a tick of %v: choose another TTL, or see minSessionTimeout and maxSessionTimeout",
			driver.ErrInvalid, s.Timeout(), bound(s.Timeout(), config.Timeout), it.ttl, p.tick)
		_ = s.Close(ctx)
	default:
		it.session = s
	}
	if it.err != nil {
		p.mu.Lock()
		if p.byTTL[it.ttl] == it {
			delete(p.byTTL, it.ttl) // The next one tries anew.
		}
		p.mu.Unlock()
	}
	close(it.ready)
}

func bound(given, asked time.Duration) string {
	if given > asked {
		return "least"
	}
	return "most"
}

// give gives a session back.
func (it *slot) give() {
	it.all.mu.Lock()
	defer it.all.mu.Unlock()
	it.users--
	it.unused = time.Now()
}

// wasOurs reports whether a session was this driver's and is over.
func (p *sessions) wasOurs(id int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tidyLocked()
	return p.past[id]
}

// close ends all sessions: those that keep leases are left to the servers.
func (p *sessions) close(ctx context.Context, keeps func(*zk.Session) bool) {
	p.mu.Lock()
	p.closed = true
	slots := make([]*slot, 0, len(p.byTTL))
	for _, it := range p.byTTL {
		slots = append(slots, it)
	}
	p.mu.Unlock()
	var all sync.WaitGroup
	for _, it := range slots {
		select {
		case <-it.ready:
		default:
			continue // Its opening ends with the driver's life.
		}
		if it.err != nil {
			continue
		}
		all.Go(func() {
			if keeps(it.session) {
				it.session.Drop()
			} else {
				_ = it.session.Close(ctx) // Else it expires.
			}
		})
	}
	all.Wait()
}

// dropAll leaves to the servers what close did not reach because it was being
// opened.
func (p *sessions) dropAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, it := range p.byTTL {
		if it.session != nil {
			it.session.Drop()
		}
	}
}
