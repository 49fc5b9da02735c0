package redislock

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"sync"
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

// ears are where a client hears of its grants. Outside a Cluster that is one
// channel. In a Cluster a script can tell waiters on channels of its own slot
// only, so there is one more for each slot that somebody waits in; what is
// rare, that a lease was broken, comes on the first everywhere.
type ears struct {
	client  rueidis.Client
	cluster bool
	channel string          // the first
	life    context.Context //nolint:containedctx // The driver's: it ends with Close.

	mu       sync.Mutex
	stopped  bool
	channels map[string]*ear
	waiters  map[driver.LeaseID][]*waiter
	nudges   map[driver.LeaseID][]*nudge
	work     sync.WaitGroup
}

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

// A waiter is one call of Acquire that stands in line.
type waiter struct {
	id   driver.LeaseID
	ear  *ear
	news chan *news
}

// news is what a waiter hears.
type news struct {
	message  script.Message // its Kind is 0 if there is none
	stopping bool           // the driver closes
	// Neither: the subscription was lost and is back, and the waiter asks.
}

type nudge struct{ f func() }

func newEars(life context.Context, client rueidis.Client, cluster bool) *ears {
	var name [8]byte
	_, _ = rand.Read(name[:]) // It never fails.
	return &ears{
		client: client, cluster: cluster, channel: "stile:wake:" + hex.EncodeToString(name[:]), life: life,
		channels: map[string]*ear{}, waiters: map[driver.LeaseID][]*waiter{}, nudges: map[driver.LeaseID][]*nudge{},
	}
}

// channelFor is where a waiter of the keys hears.
func (e *ears) channelFor(keys *script.Keys) string {
	if !e.cluster {
		return e.channel
	}
	return "stile:wake:{" + keys.SlotTag() + "}:" + e.channel[len("stile:wake:"):]
}

// address is where a waiter or holder of the keys is told, as scripts want it,
// and whether anybody listens there now.
func (e *ears) address(keys *script.Keys) (addr string, open bool) {
	channel := e.channelFor(keys)
	addr = "p:" + channel
	if e.cluster {
		addr = "s:" + channel
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	it := e.channels[channel]
	return addr, it != nil && it.isOpen
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
	pause, at := earPause, e.client
	for {
		begun := time.Now()
		err := at.Receive(hooked, e.command(it, true), e.receive)
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
		for _, nudges := range e.nudges {
			for _, n := range nudges {
				n.f()
			}
		}
	}
	if !again {
		return
	}
	for _, waiters := range e.waiters {
		for _, w := range waiters {
			if w.ear == it {
				w.hear(&news{})
			}
		}
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

// receive is called with each message, by one goroutine for each subscription.
func (e *ears) receive(m rueidis.PubSubMessage) {
	message, err := script.ParseMessage(m.Message)
	if err != nil {
		return // Not ours: anybody may publish to a channel. Who waits asks again in a while.
	}
	e.tell(message)
}

// tell passes a message on to those whom it is for.
func (e *ears) tell(message script.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if message.Kind == script.BrokenMessage {
		for _, n := range e.nudges[message.ID] {
			n.f()
		}
		return
	}
	for _, w := range e.waiters[message.ID] {
		w.hear(&news{message: message})
	}
}

// hear never blocks: a waiter that has not taken its last news in has to look
// anyway, and a grant counts more than anything.
func (w *waiter) hear(n *news) {
	for {
		select {
		case w.news <- n:
			return
		default:
		}
		select {
		case old := <-w.news:
			both := *n
			both.stopping = n.stopping || old.stopping
			if weight(old.message.Kind) > weight(n.message.Kind) {
				both.message = old.message
			}
			n = &both
		default:
		}
	}
}

// weight says which of two messages to one waiter counts.
func weight(kind script.Kind) int {
	switch kind {
	case script.GrantedMessage:
		return 2
	case script.WithdrawnMessage:
		return 1
	default:
		return 0 // The waiter has to look, whatever it is.
	}
}

// add registers a waiter before its attempt can be in line.
func (e *ears) add(id driver.LeaseID, it *ear) (*waiter, error) {
	w := &waiter{id: id, ear: it, news: make(chan *news, 1)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return nil, driver.ErrClosed
	}
	e.waiters[id] = append(e.waiters[id], w)
	return w, nil
}

// remove reports whether nobody else waits for the same attempt.
func (e *ears) remove(w *waiter) (last bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rest := e.waiters[w.id]
	for i := range rest {
		if rest[i] == w {
			rest = append(rest[:i:i], rest[i+1:]...)
			break
		}
	}
	if len(rest) == 0 {
		delete(e.waiters, w.id)
		return true
	}
	e.waiters[w.id] = rest
	return false
}

// stop tells all who wait that the driver closes.
func (e *ears) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	for _, waiters := range e.waiters {
		for _, w := range waiters {
			w.hear(&news{stopping: true})
		}
	}
}
