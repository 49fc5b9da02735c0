package locktest

import "github.com/stilelock/stile/driver"

var needMinHold = []driver.Capability{driver.CapMinHold}

// minHoldCases are about leases that keep their key for a while though their
// holder has released it.
var minHoldCases = []testCase{
	{name: "released_lease_keeps_its_key", needs: needMinHold, run: func(w *world) {
		c := w.clients(2)
		req := w.request("k")
		req.MinHold = w.long
		l := w.acquire(c[0], req)
		w.mustRelease(l)
		w.wantBusy(c[1], w.request("k"))
		if h := w.holder(l); h.Ended != driver.EndedReleased {
			w.Fatalf("a lease that was released and keeps its key is listed as ended %q; want %q", h.Ended, driver.EndedReleased)
		}
		w.wantLost(l)
		if err := w.release(l); err != nil {
			w.Fatalf("second Release within the minimum hold: %v", err)
		}
		w.wantBusy(c[1], w.request("k"))
		waiter := w.standBehind(c[1], w.request("k"))
		waiter.waits(w.glance)
		if err := w.breakLease(c[1], l, driver.BreakNow); err != nil {
			w.Fatalf("Break of a lease that its minimum hold keeps: %v", err)
		}
		waiter.granted()
	}},
	{name: "key_passes_on_when_the_minimum_hold_is_over", needs: needMinHold, run: func(w *world) {
		c := w.clients(2)
		req := w.request("k")
		req.MinHold = 2 * w.short
		l := w.acquire(c[0], req)
		waiter := w.start(c[1], w.request("k"))
		w.mustRelease(l)
		w.wantNotBefore(waiter.grantedWithin(req.MinHold), l.sent.Add(req.MinHold), req.MinHold)
	}},
	{name: "minimum_hold_that_is_over_delays_nothing", needs: needMinHold, run: func(w *world) {
		c := w.clients(2)
		req := w.request("k")
		req.MinHold = w.glance
		l := w.acquire(c[0], req)
		w.pass(l.got.Add(req.MinHold + drift(req.MinHold)))
		w.mustRenew(l, w.long) // A minimum is not a maximum.
		w.mustRelease(l)
		w.wantNothing("k")
		w.mustTry(c[1], w.request("k"))
	}},
	{name: "minimum_hold_outlives_a_dead_holder", needs: needMinHold, run: func(w *world) {
		c := w.clients(2)
		req := w.expiring("k")
		req.MinHold = 3 * w.short
		l := w.acquire(c[0], req)
		waiter := w.start(c[1], w.request("k"))
		w.wantNotBefore(waiter.grantedWithin(req.MinHold), l.sent.Add(req.MinHold), req.MinHold)
		w.wantLost(l)
	}},
	{name: "minimum_hold_does_not_revive_a_lost_lease", needs: needMinHold, run: func(w *world) {
		req := w.expiring("k")
		req.MinHold = w.long
		l := w.acquire(w.client(), req)
		w.pass(l.got.Add(l.ttl() + drift(l.ttl())))
		w.wantLost(l)
		w.wantBusy(w.client(), w.request("k"))
		if h := w.holder(l); h.Ended != driver.EndedExpired {
			w.Fatalf("a lease that ran out and keeps its key is listed as ended %q; want %q", h.Ended, driver.EndedExpired)
		}
		w.wantError("Release of a lease that has run out", w.release(l), driver.ErrLost)
	}},
	{name: "waiter_with_a_minimum_hold_leaves_at_once", needs: needMinHold, run: func(w *world) {
		c := w.clients(2)
		held := w.acquire(c[0], w.request("k"))
		req := w.request("k")
		req.MinHold = w.long
		waiter := w.standBehind(c[1], req)
		waiter.cancel()
		_ = waiter.failed()
		w.mustRelease(held)
		w.wantNothing("k")
	}},
}
