package locktest

import (
	"context"
	"errors"

	"github.com/stilelock/stile/driver"
)

// openBreakable opens a client whose network the case can break.
func (w *world) openBreakable() (driver.Driver, Network) {
	w.Helper()
	ctx, cancel := w.bounded()
	defer cancel()
	d, net, err := w.store.Network(ctx)
	if err != nil {
		w.Fatalf("open a client with a network to break: %v", err)
	}
	w.Cleanup(func() {
		net.Heal()
		w.closeClient(d)
	})
	return d, net
}

// persist waits for a grant, and sends the attempt again while the store is
// out of reach, as package stile does.
func (w *world) persist(c *call) *lease {
	w.Helper()
	var l *lease
	w.until("the attempt is granted", func() bool {
		if !c.over(w.glance) {
			return false
		}
		if c.err != nil {
			w.wantError("Acquire after a cut of the network", c.err, driver.ErrUnavailable)
			c = w.start(c.client, c.req)
			return false
		}
		l = c.lease
		return true
	})
	return l
}

func lostReplyToAcquire(w *world) {
	d, net := w.openBreakable()
	for range 5 {
		req := w.request("k")
		net.LoseReply()
		var first driver.Grant
		err := w.ask(2*w.slack, "Acquire", func(ctx context.Context) (err error) {
			first, err = d.Acquire(ctx, req)
			return err
		})
		if err != nil {
			w.wantError("Acquire whose reply was lost", err, driver.ErrAmbiguous)
			w.wantError("Acquire whose reply was lost", err, driver.ErrUnavailable)
		}
		net.Heal()
		state, listed := w.state(w.client(), "k")
		if !listed || len(state.Holders) != 1 || state.Holders[0].ID != req.ID {
			w.Fatalf("Acquire whose reply was lost (%v), and the key is listed as %+v; want the holder %v", err, state, req.ID)
		}
		again := w.acquire(d, req)
		token := state.Holders[0].Token
		if again.grant.Token != token || (err == nil && first.Token != token) {
			w.Fatalf("the retry got token %d; want %d, the token of its grant", again.grant.Token, token)
		}
		w.wantHolders("k", again)
		w.mustRelease(again)
		w.wantNothing("k")
	}
}

// storeOutOfReach cuts the network: that is ErrUnavailable for everything, and
// ErrLost for nothing.
func storeOutOfReach(w *world) {
	d, net := w.openBreakable()
	l := w.acquire(d, w.request("k"))
	net.Cut()
	req := w.request("free")
	for what, call := range map[string]func(context.Context) error{
		"Acquire": func(ctx context.Context) error {
			_, err := d.Acquire(ctx, req)
			return err
		},
		"Renew":   func(ctx context.Context) error { return d.Renew(ctx, l.hold(), w.long) },
		"Release": func(ctx context.Context) error { return d.Release(ctx, driver.Hold{Key: "k", ID: driver.NewLeaseID()}) },
		"Break":   func(ctx context.Context) error { return d.Break(ctx, "k", driver.NewLeaseID(), driver.BreakNow) },
		"List": func(ctx context.Context) error {
			_, err := listAll(ctx, d, "")
			return err
		},
	} {
		w.wantUnreachable(what, w.ask(w.kept, what, call)) // At once, or after trying for a while.
	}
	net.Heal()
	w.until("the client is served again", func() bool {
		_, err := w.renew(l, w.long)
		if err != nil {
			w.wantError("Renew after a cut of the network", err, driver.ErrUnavailable)
		}
		return err == nil
	})
	w.mustRelease(l)
	w.settle(d, req)
}

// settle withdraws an attempt of unknown outcome, and checks that nothing is
// left of it.
func (w *world) settle(d driver.Driver, req driver.Request) {
	w.Helper()
	w.until("an attempt of unknown outcome is withdrawn", func() bool {
		err := w.releaseBy(d, driver.Hold{Key: req.Key, ID: req.ID})
		return err == nil || errors.Is(err, driver.ErrLost)
	})
	w.wantNothing(req.Key)
	w.mustTry(w.client(), w.request(req.Key))
}

// wantUnreachable: the driver says at once that the store is out of reach, or
// tries until its context ends.
func (w *world) wantUnreachable(what string, err error) {
	w.Helper()
	switch {
	case err == nil:
		w.Fatalf("%s without a network succeeded", what)
	case errors.Is(err, driver.ErrLost):
		w.Fatalf("%s without a network: got the error %q, but nobody can know that the lease is lost", what, err)
	case !errors.Is(err, driver.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded):
		w.Fatalf("%s without a network: got the error %q; want one that matches %q", what, err, driver.ErrUnavailable)
	}
}

// silentStore swallows all that is sent: calls end with their contexts.
func silentStore(w *world) {
	d, net := w.openBreakable()
	l := w.acquire(d, w.request("k"))
	net.BlackHole()
	req := w.request("free")
	for what, call := range map[string]func(context.Context) error{
		"Acquire": func(ctx context.Context) error {
			_, err := d.Acquire(ctx, req)
			return err
		},
		"Renew": func(ctx context.Context) error { return d.Renew(ctx, l.hold(), w.long) },
		"List": func(ctx context.Context) error {
			_, err := listAll(ctx, d, "")
			return err
		},
	} {
		w.wantUnreachable(what, w.ask(w.short, what, call))
	}
	net.Heal()
	w.settle(d, req)
	w.until("the client is served again", func() bool {
		_, err := w.renew(l, w.long)
		return err == nil
	})
	w.mustRelease(l)
}

// sessionEnds: where leases depend on the session, they are lost with it and
// pass on; where they do not, they stay. Never both.
func sessionEnds(w *world) {
	c := w.clients(2)
	l := w.acquire(c[1], w.request("k"))
	waiting := w.acquire(c[0], w.request("other"))
	cut := w.standBehind(c[1], w.request("other"))
	ctx, cancel := w.bounded()
	defer cancel()
	if err := w.store.KillSession(ctx, c[1]); err != nil {
		w.Fatalf("end the session of a client: %v", err)
	}
	var err error
	w.until("the client whose session ended is served again", func() bool {
		_, err = w.renew(l, w.long)
		return !errors.Is(err, driver.ErrUnavailable)
	})
	if err != nil {
		w.wantError("Renew after the end of the session", err, driver.ErrLost)
		next := w.acquire(c[0], w.request("k"))
		if next.grant.Token <= l.grant.Token {
			w.Fatalf("token %d was granted after token %d", next.grant.Token, l.grant.Token)
		}
		w.wantLost(l)
		w.mustRelease(next)
	} else {
		w.wantBusy(c[0], w.request("k"))
		w.mustRelease(l)
	}
	w.mustRelease(w.acquire(c[1], w.request("k"))) // The client itself lives on.
	w.mustRelease(waiting)
	w.mustRelease(w.persist(cut))
}
