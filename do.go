package stile

import (
	"context"
	"errors"
	"fmt"
)

// Do acquires the key, calls work, and releases. The context that work gets
// ends when ctx ends or the lease is lost, whichever is first; its cause says
// which. Work must return soon after: the key passes on.
//
// Do returns work's error. If the lease was lost while work ran, the error
// matches ErrLost too, even if work returned nil: it was not covered to its
// end. So it is with ErrClosed if the locker was closed meanwhile. A panic of
// work goes on after the release. Other errors are those of Acquire; then work
// was not called.
func (l *Locker) Do(ctx context.Context, key string, opts *Options, work func(ctx context.Context, lease *Lease) error) (err error) {
	lease, err := l.Acquire(ctx, key, opts)
	if err != nil {
		return err
	}
	covered, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(lease.Context(), func() { cancel(lease.Err()) })
	defer func() {
		unhook()
		cancel(nil)
		closed := errors.Is(lease.Err(), ErrClosed)
		released := lease.Release(ctx)
		switch {
		case !closed && !errors.Is(released, ErrLost):
			// A release that the store did not hear in time takes nothing from
			// the work: it was covered. The reaper and the TTL see to the rest.
		case err == nil:
			err = released
		case closed && errors.Is(err, ErrClosed), !closed && errors.Is(err, ErrLost):
			// Work says so itself.
		default:
			err = fmt.Errorf("%w: %w", released, err)
		}
	}()
	return work(covered, lease)
}
