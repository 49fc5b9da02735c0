package redislock

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/script"
)

const (
	// earPause is the pause before a subscription that failed is tried again. It doubles up to earPauseMost.
	earPause     = 20 * time.Millisecond
	earPauseMost = time.Second
	// earLinger is how long a subscription of a Cluster stays when nobody needs it any more.
	earLinger = time.Minute
	// unsubscribeLimit bounds the farewell of a subscription.
	unsubscribeLimit = time.Second
)

// errUnsubscribed ends a subscription that the server has ended: its slot has moved.
var errUnsubscribed = errors.New("the server has ended the subscription")

// An ear is one subscription. All but its channel and cancel is guarded by
// ears.mu.
type ear struct {
	channel string
	shard   bool // a channel of a slot
	cancel  context.CancelFunc
	users   int           // who wait, or are about to
	unused  time.Time     // since when nobody does
	isOpen  bool          // the server has it
	was     bool          // it had it before
	tries   int           // those that failed
	failed  error         // why the last of them did
	changed chan struct{} // closed, and made anew, when one of these four changes
}

// listen returns when somebody listens where a waiter of the keys is told. The
// caller lets go of the ear with leave.
func (e *ears) listen(ctx context.Context, keys *script.Keys) (*ear, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return nil, driver.ErrClosed
	}
	it := e.openLocked(e.channelFor(keys))
	it.users++
	for tries := it.tries; !it.isOpen; {
		changed := it.changed
		e.mu.Unlock()
		err := error(nil)
		select {
		case <-changed:
		case <-ctx.Done():
			err = ctx.Err()
		case <-e.life.Done():
			err = driver.ErrClosed
		}
		e.mu.Lock()
		if err == nil && it.tries > tries && !it.isOpen {
			err = it.failed
		}
		if err != nil {
			e.leaveLocked(it)
			return nil, err
		}
	}
	return it, nil
}

// openLocked returns the ear for a channel, and starts one if there is none.
func (e *ears) openLocked(channel string) *ear {
	it := e.channels[channel]
	if it != nil {
		return it
	}
	for _, old := range e.channels { // A time to look for those that nobody needs any more.
		if old.shard && old.users == 0 && time.Since(old.unused) > earLinger {
			delete(e.channels, old.channel)
			old.cancel()
		}
	}
	ctx, cancel := context.WithCancel(e.life)
	it = &ear{channel: channel, shard: channel != e.channel, cancel: cancel, unused: time.Now(), changed: make(chan struct{})}
	e.channels[channel] = it
	e.work.Go(func() {
		defer cancel()
		e.subscribe(ctx, it)
	})
	return it
}

// leave lets go of an ear.
func (e *ears) leave(it *ear) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leaveLocked(it)
}

func (e *ears) leaveLocked(it *ear) {
	it.users--
	if it.users == 0 {
		it.unused = time.Now()
	}
}

// subscribe keeps the subscription until ctx ends.
func (e *ears) subscribe(ctx context.Context, it *ear) {
	pause, at := earPause, e.client
	for {
		begun := time.Now()
		hold := e.hold
		if e.alone {
			hold = e.holdAlone
		}
		err := hold(ctx, it, at)
		e.closed(it, err)
		at = e.next(err)
		if time.Since(begun) > earPauseMost {
			pause = earPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		pause = min(pause*2, earPauseMost)
	}
}

// holdAlone subscribes on a connection that serves nothing else, and returns when
// that is over. Its reader passes each message on itself, which spares a waiter
// the time until another goroutine runs; and who sends a command while no other
// is under way may read the answer himself, for nothing else can come there.
func (e *ears) holdAlone(ctx context.Context, it *ear, at rueidis.Client) error {
	connection, release := at.Dedicate()
	defer release()
	defer connection.Close()
	ended := connection.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage: e.receive,
		OnSubscription: func(s rueidis.PubSubSubscription) {
			if s.Kind == "subscribe" {
				e.opened(it)
			}
		},
	})
	if err := connection.Do(ctx, e.command(it, true)).Error(); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hold subscribes on a connection that commands use too, and returns when that
// is over. The client sees to it that it follows a failover, and a Cluster's
// slots need no connection each.
func (e *ears) hold(ctx context.Context, it *ear, at rueidis.Client) error {
	hooked := rueidis.WithOnSubscriptionHook(ctx, func(s rueidis.PubSubSubscription) {
		if s.Kind == "subscribe" || s.Kind == "ssubscribe" {
			e.opened(it)
		}
	})
	hooked = rueidis.WithOnReceiveReturnHook(hooked, func(err error, c rueidis.CommandClient) error {
		if ctx.Err() != nil {
			// The connection may live on: it is somebody else's, or others use it too.
			bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), unsubscribeLimit)
			defer cancel()
			c.Do(bounded, e.command(it, false))
		}
		return err
	})
	return at.Receive(hooked, e.command(it, true), e.receive)
}

// next is whom to ask when a subscription has ended: the node that the answer
// names, because the client may take a second to learn where a slot has moved to,
// and a waiter who cannot be reached when its turn comes loses its place.
func (e *ears) next(ended error) rueidis.Client {
	if refused, is := rueidis.IsRedisErr(ended); is {
		if addr, moved := refused.IsMoved(); moved {
			if node := e.client.Nodes()[addr]; node != nil {
				return node
			}
		}
	}
	return e.client
}

// command subscribes or unsubscribes.
func (e *ears) command(it *ear, subscribe bool) rueidis.Completed {
	switch {
	case it.shard && subscribe:
		return e.client.B().Ssubscribe().Channel(it.channel).Build()
	case it.shard:
		return e.client.B().Sunsubscribe().Channel(it.channel).Build()
	case subscribe:
		return e.client.B().Subscribe().Channel(it.channel).Build()
	default:
		return e.client.B().Unsubscribe().Channel(it.channel).Build()
	}
}

// opened is called when the server has confirmed a subscription. Whoever waits
// or holds may have missed something before.
func (e *ears) opened(it *ear) {
	e.mu.Lock()
	defer e.mu.Unlock()
	again := it.was // Also while it is open: a client that tries again by itself has lost it and made it anew.
	it.isOpen, it.was = true, true
	it.change()
	if it.channel == e.channel {
		e.nudgeAllLocked()
	}
	if again {
		e.askAllLocked(it)
	}
}

// closed is called when a subscription has ended, or a try to make it.
func (e *ears) closed(it *ear, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		err = errUnsubscribed
	}
	it.isOpen, it.tries, it.failed = false, it.tries+1, err
	it.change()
}

func (it *ear) change() {
	close(it.changed)
	it.changed = make(chan struct{})
}
