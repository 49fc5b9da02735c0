package locktest

import "github.com/stilelock/stile/driver"

// releaseCases are about ending a lease.
var releaseCases = []testCase{
	{name: "second_release_does_nothing_to_others", run: func(w *world) {
		c := w.clients(3)
		l := w.acquire(c[0], w.request("k"))
		w.mustRelease(l)
		w.wantError("second Release", w.release(l), driver.ErrLost)
		next := w.acquire(c[1], w.request("k"))
		w.wantError("Release of a lease that is over", w.release(l), driver.ErrLost)
		w.wantHolders("k", next)
		w.wantBusy(c[2], w.request("k"))
		w.mustRenew(next, w.long)
	}},
	{name: "release_with_a_wrong_id_frees_nobody", run: func(w *world) {
		c := w.clients(2)
		l := w.acquire(c[0], w.request("k"))
		other := w.acquire(c[0], w.request("other"))
		for what, h := range map[string]driver.Hold{
			"an unknown id":            {Key: "k", ID: driver.NewLeaseID(), Token: l.grant.Token, TTL: w.long},
			"the id of another key":    {Key: "k", ID: other.req.ID, Token: l.grant.Token, TTL: w.long},
			"the id, on another key":   {Key: "other", ID: l.req.ID, Token: l.grant.Token, TTL: w.long},
			"the id, on an unused key": {Key: "unused", ID: l.req.ID, Token: l.grant.Token, TTL: w.long},
		} {
			w.wantError("Release with "+what, w.releaseBy(c[1], h), driver.ErrLost)
		}
		w.wantHolders("k", l)
		w.wantHolders("other", other)
		w.wantNothing("unused")
		w.wantBusy(c[1], w.request("k"))
	}},
	{name: "release_withdraws_a_waiter", run: func(w *world) {
		c := w.clients(2)
		held := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[1], w.request("k"))
		behind := w.standBehind(c[0], w.request("k"))
		if err := w.releaseBy(c[1], driver.Hold{Key: "k", ID: waiter.req.ID}); err != nil {
			w.Fatalf("Release of an attempt that waits: %v", err)
		}
		w.wantLine("k", behind.req.ID)
		w.wantError("Acquire of an attempt that was withdrawn", waiter.failed(), driver.ErrLost)
		w.wait(w.glance)
		w.wantLine("k", behind.req.ID) // It has not come back.
		w.mustRelease(held)
		behind.granted()
	}},
	{name: "release_after_loss_frees_nobody", run: func(w *world) {
		c := w.clients(3)
		dead := w.acquire(c[0], w.expiring("k"))
		next := w.start(c[1], w.request("k")).grantedWithin(dead.ttl())
		w.wantError("Release after the loss of the lease", w.release(dead), driver.ErrLost)
		w.wantHolders("k", next)
		w.wantBusy(c[2], w.request("k"))
		w.mustRenew(next, w.long)
	}},
	{name: "release_by_another_client", needs: needAdopt, run: func(w *world) {
		c := w.clients(2)
		l := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[1], w.request("k"))
		if err := w.releaseBy(c[1], l.hold()); err != nil {
			w.Fatalf("Release by another client: %v", err)
		}
		waiter.granted()
		w.wantLost(l)
	}},
	{name: "release_of_an_unused_key_is_lost", run: func(w *world) {
		h := driver.Hold{Key: "k", ID: driver.NewLeaseID(), Token: 1, TTL: w.long}
		w.wantError("Release on a key that was never used", w.releaseBy(w.client(), h), driver.ErrLost)
		w.wantNothing("k")
	}},
}
