package redislock

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"sync"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/script"
)

// ears are where a client hears of its grants. Outside a Cluster that is one
// channel. In a Cluster a script can tell waiters on channels of its own slot
// only, so there is one more for each slot that somebody waits in; what is
// rare, that a lease was broken, comes on the first everywhere.
type ears struct {
	client  rueidis.Client
	cluster bool
	alone   bool            // the subscription has a connection of its own
	channel string          // the first
	life    context.Context //nolint:containedctx // The driver's: it ends with Close.

	mu       sync.Mutex
	stopped  bool
	channels map[string]*ear
	waiters  map[driver.LeaseID][]*waiter
	nudges   map[driver.LeaseID][]*nudge
	work     sync.WaitGroup
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
		client: client, cluster: cluster, alone: client.Mode() == rueidis.ClientModeStandalone, channel: "stile:wake:" + hex.EncodeToString(name[:]), life: life,
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

// askAllLocked has all who hear there ask again.
func (e *ears) askAllLocked(it *ear) {
	for _, waiters := range e.waiters {
		for _, w := range waiters {
			if w.ear == it {
				w.hear(&news{})
			}
		}
	}
}

// nudge registers f for news about a lease, and sees to it that they are heard.
func (e *ears) nudge(id driver.LeaseID, f func()) (stop func()) {
	n := &nudge{f}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.nudges[id] = append(e.nudges[id], n)
	if !e.stopped {
		e.openLocked(e.channel)
	}
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		rest := slices.DeleteFunc(e.nudges[id], func(other *nudge) bool { return other == n })
		if len(rest) == 0 {
			delete(e.nudges, id)
		} else {
			e.nudges[id] = rest
		}
	}
}

// nudgeAllLocked is for when something may have been missed.
func (e *ears) nudgeAllLocked() {
	for _, nudges := range e.nudges {
		for _, n := range nudges {
			n.f()
		}
	}
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
