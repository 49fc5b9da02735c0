package locktest

import (
	"errors"

	"github.com/stilelock/stile/driver"
)

var useNetwork = []Hook{HookNetwork}

// networkCases are about clients whose store is out of reach.
var networkCases = []testCase{
	{name: "lost_reply_to_acquire_is_settled_by_a_retry", uses: useNetwork, run: lostReplyToAcquire},
	{name: "lost_reply_to_acquire_is_settled_by_a_release", uses: useNetwork, run: func(w *world) {
		d, net := w.openBreakable()
		req := w.request("k")
		net.LoseReply()
		l, err := w.try(d, req) // Withdraws the attempt if the outcome is unknown.
		if err == nil {
			w.mustRelease(l) // The driver has asked again by itself.
		} else {
			w.wantError("Acquire whose reply was lost", err, driver.ErrAmbiguous)
		}
		net.Heal()
		w.wantNothing("k")
		w.mustTry(w.client(), w.request("k"))
	}},
	{name: "lost_reply_to_release_does_no_harm", uses: useNetwork, run: func(w *world) {
		d, net := w.openBreakable()
		l := w.acquire(d, w.request("k"))
		waiter := w.standBehind(w.client(), w.request("k"))
		net.LoseReply()
		if err := w.release(l); err != nil && !errors.Is(err, driver.ErrLost) {
			w.wantError("Release whose reply was lost", err, driver.ErrAmbiguous)
		}
		net.Heal()
		next := waiter.granted()
		if err := w.release(l); err != nil {
			w.wantError("second Release", err, driver.ErrLost)
		}
		w.wantHolders("k", next)
		w.mustRenew(next, w.long)
	}},
	{name: "lost_reply_to_renew_is_no_loss", uses: useNetwork, run: func(w *world) {
		d, net := w.openBreakable()
		l := w.acquire(d, w.request("k"))
		net.LoseReply()
		if _, err := w.renew(l, w.long); err != nil {
			w.wantError("Renew whose reply was lost", err, driver.ErrUnavailable)
		}
		net.Heal()
		w.mustRenew(l, w.long)
	}},
	{name: "store_out_of_reach_is_no_loss", uses: useNetwork, run: storeOutOfReach},
	{name: "silent_store_does_not_hang_anybody", uses: useNetwork, run: silentStore},
	{name: "waiter_that_is_cut_off_holds_up_nobody", uses: useNetwork, run: func(w *world) {
		d, net := w.openBreakable()
		held := w.acquire(w.client(), w.request("k"))
		waiter := w.standBehind(d, w.expiring("k"))
		behind := w.standBehind(w.client(), w.request("k"))
		net.Cut()
		w.mustRelease(held)
		next := behind.grantedWithin(w.deadWaiter(w.short))
		waiter.cancel()
		if !waiter.over(2 * w.slack) {
			w.Fatalf("Acquire without a network has not returned %v after its context ended", 2*w.slack)
		}
		net.Heal()
		if waiter.err == nil {
			w.wantDeadlineBefore(waiter.lease, next)
		}
		w.wantHolders("k", next)
	}},
	{name: "waiter_that_reconnects_is_granted", uses: useNetwork, run: func(w *world) {
		d, net := w.openBreakable()
		held := w.acquire(w.client(), w.request("k"))
		waiter := w.standBehind(d, w.request("k"))
		net.Cut()
		net.Heal()
		waiter.over(w.glance) // A driver may hand the trouble up: then the attempt is sent again.
		w.mustRelease(held)
		w.mustRelease(w.persist(waiter))
		w.wantNothing("k")
	}},
	{name: "close_without_a_network_does_not_hang", uses: useNetwork, run: func(w *world) {
		d, net := w.openBreakable()
		held := w.acquire(w.client(), w.request("k"))
		waiter := w.standBehind(d, w.expiring("k"))
		net.BlackHole()
		w.closeClient(d)
		w.wantError("Acquire of a client that was closed", waiter.failed(), driver.ErrClosed)
		net.Heal()
		w.mustRelease(held)
		w.start(w.client(), w.request("k")).grantedWithin(w.deadWaiter(w.short))
	}},
	{name: "session_that_ended_takes_its_leases_along_or_none", uses: []Hook{HookSession}, run: sessionEnds},
}
