package redislock

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/script"
)

// A waiter that is granted gets a message. Everything else here is for what a
// message cannot tell: that a lease has run out, that the message was lost with
// a connection, or that the key belongs to a program that tells nobody.

const (
	// refreshMost is how often at least a waiter sends its attempt again. One
	// whose TTL is shorter wants to be served sooner, and does so more often.
	refreshMost  = 5 * time.Second
	refreshLeast = 250 * time.Millisecond
	// behind is how much later each one in line looks than the one before it
	// when the holder's lease runs out, in case those before are dead.
	behind = 250 * time.Millisecond
	// foreignPoll is how often the first in line looks while the key belongs to
	// a program that does not use stile.
	foreignPoll = 100 * time.Millisecond
	// retryRefresh is when a refresh that failed is tried again.
	retryRefresh = 500 * time.Millisecond
)

// A wait is the time that an acquisition stands in line.
type wait struct {
	*acquisition
	waiter *waiter
	next   time.Time // when to send the attempt again
	kept   time.Time // until when the place in line is surely there
}

// wait stands in line until the attempt is granted, or ctx or the driver ends.
func (w *wait) wait(ctx context.Context, queued *script.Reply) (driver.Grant, error) {
	w.stand(queued)
	timer := time.NewTimer(time.Until(w.next))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return driver.Grant{}, w.ended(ctx.Err())
		case n := <-w.waiter.news:
			if n.message.Kind == script.GrantedMessage {
				if grant, current := w.granted(&n.message); current {
					return grant, nil
				}
			}
			switch {
			case n.stopping:
				return driver.Grant{}, fmt.Errorf("acquire: %w", w.leave(w.waiter))
			case n.message.Kind == script.WithdrawnMessage:
				return driver.Grant{}, fmt.Errorf("acquire: %w: the attempt was withdrawn", driver.ErrLost)
			}
		case <-timer.C:
		}
		reply, err := w.send(ctx)
		switch {
		case err == nil && reply.Status == script.Queued:
			w.stand(&reply)
		case err == nil && reply.Status == script.Granted:
			return driver.Grant{Token: reply.Token, From: w.sentAt}, nil
		case err == nil:
			return driver.Grant{}, fmt.Errorf("acquire: %w", reply.Err(w.req.Key, w.req.Limit))
		case ctx.Err() != nil:
			return driver.Grant{}, w.ended(ctx.Err())
		case time.Now().After(w.kept), errors.Is(err, driver.ErrInvalid), errors.Is(err, driver.ErrClosed):
			return driver.Grant{}, w.ended(err)
		default:
			// The place is still there, and the server may be well again in time.
			w.next = time.Now().Add(retryRefresh)
		}
		timer.Reset(time.Until(w.next))
	}
}

// ended says why the wait is over before its time. The attempt may still be in
// line: package stile withdraws it.
func (w *wait) ended(why error) error {
	w.d.unsure.add(w.req.ID)
	return fmt.Errorf("acquire: %w: the attempt may still be in line: %w", driver.ErrAmbiguous, why)
}

// granted makes the answer of a message, unless it is an old one: of a grant
// from before the last answer, which said that the attempt waits. The lease
// began on the server's clock as long after the last answer as the two times
// there are apart, and not after the message was read.
func (w *wait) granted(m *script.Message) (grant driver.Grant, current bool) {
	apart := (m.Since - w.serverAt).Duration()
	if apart < 0 {
		return driver.Grant{}, false // Or the server's clock went back. Its next answer tells.
	}
	return driver.Grant{Token: m.Token, From: min(w.req.Now(), w.answeredAt.Add(apart-apart/1000))}, true
}

// stand takes note of the attempt's place.
func (w *wait) stand(queued *script.Reply) {
	now := time.Now()
	w.kept = now.Add(waiterTTL - time.Second)
	refresh := min(refreshMost, max(w.req.TTL, refreshLeast))
	sleep := refresh - rand.N(refresh/8+1) // Not all at once.
	if queued.Due > 0 {
		due := (queued.Due - queued.Now).Duration() + time.Millisecond
		if queued.Ahead > 0 {
			due += behind * time.Duration(min(queued.Ahead, 1000))
		}
		sleep = min(sleep, due)
	}
	if queued.Foreign && queued.Ahead == 0 {
		sleep = min(sleep, foreignPoll)
	}
	w.next = now.Add(max(sleep, time.Millisecond))
}
