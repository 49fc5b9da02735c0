package stile

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/stilelock/stile/driver"
)

// A Locker hands out leases of the keys of one store. It is safe for
// concurrent use. Make one for a program and share it.
type Locker struct {
	driver driver.Driver
	can    driver.Capabilities
	config Config

	// base ends with Close; what runs in the background runs under it.
	base context.Context //nolint:containedctx // The locker owns goroutines that outlive any call.
	stop context.CancelFunc
	work sync.WaitGroup

	reapers sync.WaitGroup // those of work that tell the store of an end

	mu     sync.Mutex
	closed bool
	gone   chan struct{} // closed when Close is done
	leases map[*Lease]struct{}
}

// Open opens the store that a URL names, such as sqlite:/var/lib/app/locks.db,
// with the driver that is registered for its scheme, and returns a locker with
// the default configuration. Import the driver's package to register it. An
// unknown scheme is an ErrInvalid that lists the known ones. No error repeats
// a password.
func Open(ctx context.Context, storeURL string) (*Locker, error) {
	d, err := driver.Open(ctx, storeURL)
	if err != nil {
		return nil, err
	}
	return New(d, nil), nil
}

// New returns a locker over a driver, which it closes when it is closed.
func New(d driver.Driver, config *Config) *Locker {
	base, stop := context.WithCancel(context.Background()) //nolint:forbidigo // It ends with Close, not with a call.
	return &Locker{
		driver: d,
		can:    d.Capabilities(),
		config: config.withDefaults(),
		base:   base,
		stop:   stop,
		gone:   make(chan struct{}),
		leases: make(map[*Lease]struct{}),
	}
}

// List yields the state of every key in use that begins with prefix, in the
// byte order of the keys. It is for people and for monitoring: by the time it
// is read it may be history. Decide nothing on it.
func (l *Locker) List(ctx context.Context, prefix string) iter.Seq2[State, error] {
	return l.driver.List(ctx, prefix)
}

// Get returns the state of one key. A key that nobody uses has no holders and
// no waiters.
func (l *Locker) Get(ctx context.Context, key string) (State, error) {
	if err := driver.CheckKey(key); err != nil {
		return State{}, err
	}
	for state, err := range l.driver.List(ctx, key) {
		if err != nil {
			return State{}, fmt.Errorf("get key: %w", err)
		}
		if state.Key == key {
			return state, nil
		}
		break // The key itself comes first in byte order.
	}
	return State{Key: key, Limit: 1, Holders: []Holder{}, Waiters: []Waiter{}}, nil
}

// Break ends somebody's lease: an operator's last resort. BreakGently makes
// the lease impossible to renew; its holder is told, and the key passes on
// when the holder has released, at the latest when the lease expires.
// BreakNow passes the key on at once, though the holder may still be at work.
// The error is ErrLost if the key has no lease with that id.
func (l *Locker) Break(ctx context.Context, key string, id LeaseID, how BreakHow) error {
	if err := driver.CheckKey(key); err != nil {
		return err
	}
	if reason, lacks := l.can.Lacks[driver.CapBreak]; lacks && how == BreakGently {
		return fmt.Errorf("break gently: %w: %s", errors.ErrUnsupported, reason)
	}
	if err := l.driver.Break(ctx, key, id, how); err != nil {
		return fmt.Errorf("break lease: %w", err)
	}
	return nil
}

// Close ends the locker. Calls that wait return ErrClosed. Leases that are
// still held end with ErrClosed, but are not released: the work under them may
// still run, so their keys pass on when they expire. Release first what you
// hold. Close waits for its goroutines, so it is not for Config.Observe to
// call, and is idempotent.
func (l *Locker) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.gone
		return nil
	}
	l.closed = true
	defer close(l.gone)
	var held []*Lease
	for lease := range l.leases {
		held = append(held, lease)
	}
	l.mu.Unlock()
	for _, lease := range held {
		lease.end(ErrClosed)
	}
	l.waitForReapers()
	l.stop()
	err := l.driver.Close()
	l.work.Wait()
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// waitForReapers gives what still has to be told to the store a last while.
func (l *Locker) waitForReapers() {
	told := make(chan struct{})
	l.work.Go(func() {
		l.reapers.Wait() // Ends at the latest when Close stops them.
		close(told)
	})
	timer := time.NewTimer(releaseWait)
	defer timer.Stop()
	select {
	case <-told:
	case <-timer.C:
	}
}

// goWork runs f in a goroutine that Close waits for. It is false, and f does
// not run, if the locker is closed.
func (l *Locker) goWork(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.work.Go(f)
	return true
}
