package hold

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/cmd/stile/internal/guard"
	"github.com/stilelock/stile/driver"
)

// A Store is an open store for the one lease of this process.
type Store struct {
	// Locks is for looking at the store.
	Locks   *stile.Locker
	renewed chan struct{}

	mu      sync.Mutex
	problem error
}

// Open opens the store that a URL names.
func Open(ctx context.Context, storeURL string) (*Store, error) {
	d, err := driver.Open(ctx, storeURL)
	if err != nil {
		return nil, err //nolint:wrapcheck // It says all there is to say.
	}
	s := &Store{renewed: make(chan struct{}, 1)}
	s.Locks = stile.New(d, &stile.Config{Observe: s.observe})
	return s, nil
}

func (s *Store) observe(e stile.Event) {
	switch e.Kind {
	case stile.EventRenewed:
		s.note(nil)
		select {
		case s.renewed <- struct{}{}:
		default:
		}
	case stile.EventRenewFailed:
		s.note(e.Err)
	case stile.EventAcquired, stile.EventRefused, stile.EventLost, stile.EventReleased, stile.EventLeftBehind:
	}
}

func (s *Store) note(problem error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problem = problem
}

// Problem is why the last try to renew failed; nil if it did not.
func (s *Store) Problem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

// Acquire takes the key: at once, or after standing in line if wait is true.
func (s *Store) Acquire(ctx context.Context, key string, wait bool, opts *stile.Options) (*Hold, error) {
	acquire := s.Locks.TryAcquire
	if wait {
		acquire = s.Locks.Acquire
	}
	lease, err := acquire(ctx, key, opts)
	if err != nil {
		return nil, err //nolint:wrapcheck // It says all there is to say.
	}
	return &Hold{Store: s, Lease: lease}, nil
}

// Close lets go of the store.
func (s *Store) Close() error {
	return s.Locks.Close() //nolint:wrapcheck // It says all there is to say.
}

// A Hold is a lease that this process keeps renewed.
type Hold struct {
	*Store
	Lease *stile.Lease
}

var _ guard.Hold = (*Hold)(nil)

// Adopt takes a lease over by its handle. It is a guard.Adopter.
func Adopt(ctx context.Context, storeURL, handle string) (guard.Hold, error) {
	h, err := Attach(ctx, storeURL, handle)
	if err != nil {
		return nil, err // Not a typed nil.
	}
	return h, nil
}

// Attach takes a lease over by its handle.
func Attach(ctx context.Context, storeURL, handle string) (*Hold, error) {
	s, err := Open(ctx, storeURL)
	if err != nil {
		return nil, err
	}
	lease, err := s.Locks.Attach(ctx, handle)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &Hold{Store: s, Lease: lease}, nil
}

// Renewed gets a value after the deadline has moved.
func (h *Hold) Renewed() <-chan struct{} { return h.renewed }

// Remaining is the time to the deadline; 0 when the lease is over.
func (h *Hold) Remaining() time.Duration { return h.Lease.Remaining() }

// Done is closed when the lease is over.
func (h *Hold) Done() <-chan struct{} { return h.Lease.Done() }

// Release passes the key on and lets go of the store.
func (h *Hold) Release(ctx context.Context) error {
	released := h.Lease.Release(ctx)
	closed := h.Close()
	if released != nil {
		return released //nolint:wrapcheck // It says all there is to say.
	}
	if closed != nil {
		return fmt.Errorf("close store: %w", closed)
	}
	return nil
}

// Abandon stops renewing, and lets go of the store. The key stays taken for
// whoever has the handle, until the lease expires.
func (h *Hold) Abandon() { _ = h.Close() } // The lease is somebody else's; so is the store.
