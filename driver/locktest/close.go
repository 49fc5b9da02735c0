package locktest

import (
	"time"

	"github.com/stilelock/stile/driver"
)

// closeCases are about clients that let go of the store.
var closeCases = []testCase{
	{name: "close_ends_waits_and_leaves_nothing_in_line", run: func(w *world) {
		c := w.clients(2)
		held := w.acquire(c[0], w.request("k"))
		other := w.acquire(c[0], w.request("other"))
		waiters := []*call{w.standBehind(c[1], w.request("k")), w.standBehind(c[1], w.request("k")), w.standBehind(c[1], w.request("other"))}
		w.closeClient(c[1])
		for _, waiter := range waiters {
			w.wantError("Acquire of a client that was closed", waiter.failed(), driver.ErrClosed)
		}
		w.wantLine("k")
		w.wantLine("other")
		w.mustRelease(held)
		w.mustRelease(other)
		w.wantNothing("k")
	}},
	{name: "close_may_be_repeated", run: func(w *world) {
		d := w.open()
		w.acquire(d, w.request("k"))
		closed := make(chan error, 4)
		for range 4 {
			go func() { closed <- d.Close() }()
		}
		for range 4 {
			select {
			case err := <-closed:
				if err != nil {
					w.Errorf("Close: %v", err)
				}
			case <-time.After(2 * w.slack):
				w.Fatalf("one of 4 calls of Close has not returned after %v", 2*w.slack)
			}
		}
		w.closeClient(d)
	}},
	{name: "closed_client_refuses_everything", run: closedClient},
	{name: "close_leaves_leases_until_they_expire", run: func(w *world) {
		c := w.clients(2)
		long := w.acquire(c[1], w.request("long"))
		short := w.acquire(c[1], w.expiring("short"))
		w.closeClient(c[1])
		next := w.start(c[0], w.request("short")).grantedWithin(short.ttl())
		w.wantNotBefore(next, short.sent.Add(short.ttl()), short.ttl())
		w.wantHolders("long", long)
		w.wantBusy(c[0], w.request("long"))
	}},
	{name: "close_of_one_client_disturbs_no_other", run: func(w *world) {
		c := w.clients(3)
		held := w.acquire(c[0], w.request("k"))
		w.acquire(c[1], w.request("other"))
		w.standBehind(c[1], w.request("k"))
		waiter := w.start(c[2], w.request("k"))
		w.until("two stand in line", func() bool { return len(w.line(c[0], "k")) == 2 })
		w.closeClient(c[1])
		w.wantLine("k", waiter.req.ID)
		w.mustRenew(held, w.long)
		w.mustRelease(held)
		w.mustRelease(waiter.granted())
	}},
	{name: "close_racing_the_grant_leaves_nothing", run: closeRacesGrant},
}

// closedClient asks a closed client for everything.
func closedClient(w *world) {
	c := w.clients(2)
	l := w.acquire(c[1], w.request("k"))
	before := c[1].Capabilities()
	w.closeClient(c[1])
	for _, key := range []string{"k", "free"} {
		w.wantError("Acquire after Close", w.start(c[1], w.request(key)).failed(), driver.ErrClosed)
		_, err := w.try(c[1], w.request(key))
		w.wantError("Acquire with NoWait after Close", err, driver.ErrClosed)
	}
	_, err := w.renew(l, w.long)
	w.wantError("Renew after Close", err, driver.ErrClosed)
	w.wantError("Release after Close", w.release(l), driver.ErrClosed)
	w.wantError("Break after Close", w.breakLease(c[1], l, driver.BreakNow), driver.ErrClosed)
	states, err := w.listBy(c[1], "")
	w.wantError("List after Close", err, driver.ErrClosed)
	if len(states) != 0 {
		w.Fatalf("List after Close yields %d keys", len(states))
	}
	if after := c[1].Capabilities(); len(after.Lacks) != len(before.Lacks) {
		w.Fatalf("Close changed the capabilities from %v to %v", before, after)
	}
	w.wantHolders("k", l)
	w.wantNothing("free")
}

// closeRacesGrant closes a client at the very moment of its grant.
func closeRacesGrant(w *world) {
	d := w.client()
	var r race
	for range 60 {
		held := w.acquire(d, w.request("k"))
		leaver := w.open()
		waiter := w.standBehind(leaver, w.request("k"))
		var released error
		r.run(func() { released = w.release(held) }, func() { w.closeClient(leaver) })
		switch {
		case released != nil:
			w.Fatalf("Release while a waiter leaves: %v", released)
		case !waiter.over(w.slack):
			w.Fatalf("Acquire has not returned %v after Close", w.slack)
		case waiter.err != nil:
			w.wantError("Acquire of a client that was closed", waiter.err, driver.ErrClosed)
		default:
			// The lease is its caller's: it stays until it expires or is broken.
			w.wantHolders("k", waiter.lease)
			w.mustBreak(d, waiter.lease, driver.BreakNow)
		}
		r.outcome(waiter.err == nil)
		w.mustRelease(w.mustTry(d, w.request("k")))
	}
	w.Logf("the grant won %d of %d races", r.wins, r.runs)
	w.wantNothing("k")
}
