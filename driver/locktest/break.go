package locktest

import (
	"time"

	"github.com/stilelock/stile/driver"
)

// breakCases are about ending somebody else's lease.
var breakCases = []testCase{
	{name: "broken_gently_keeps_the_key_until_release", needs: needBreak, run: func(w *world) {
		c := w.clients(3)
		l := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[2], w.request("k"))
		w.mustBreak(c[1], l, driver.BreakGently)
		w.wantLost(l)
		waiter.waits(w.glance)
		w.wantBusy(c[1], w.request("k"))
		if h := w.holder(l); h.Ended != driver.EndedBroken {
			w.Fatalf("a lease that was broken and keeps its key is listed as ended %q; want %q", h.Ended, driver.EndedBroken)
		}
		w.wantError("Release of a broken lease", w.release(l), driver.ErrLost)
		next := waiter.granted() // The holder has said that it stopped.
		w.wantError("second Release of a broken lease", w.release(l), driver.ErrLost)
		w.wantHolders("k", next)
	}},
	{name: "broken_gently_keeps_the_key_until_expiry", needs: needBreak, run: func(w *world) {
		c := w.clients(2)
		w.hurry(w.short, func(key string, ttl time.Duration) bool {
			req := w.request(key)
			req.TTL = ttl
			l := w.acquire(c[0], req)
			err := w.breakLease(c[1], l, driver.BreakGently)
			if !inTime(l.sent, ttl) {
				return false
			}
			if err != nil {
				w.Fatalf("Break of a lease that is held: %v", err)
			}
			next := w.start(c[1], w.request(key)).grantedWithin(ttl)
			w.wantNotBefore(next, l.sent.Add(ttl), ttl)
			w.wantDeadlineBefore(l, next)
			return true
		})
	}},
	{name: "broken_now_passes_on_at_once", run: func(w *world) {
		c := w.clients(3)
		l := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[2], w.request("k"))
		w.mustBreak(c[1], l, driver.BreakNow)
		next := waiter.granted()
		w.wantLost(l)
		w.wantError("Release of a broken lease", w.release(l), driver.ErrLost)
		w.wantHolders("k", next)
		if next.grant.Token <= l.grant.Token {
			w.Fatalf("token %d was granted after token %d", next.grant.Token, l.grant.Token)
		}
	}},
	{name: "broken_now_after_broken_gently", needs: needBreak, run: func(w *world) {
		c := w.clients(2)
		l := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[1], w.request("k"))
		w.mustBreak(c[1], l, driver.BreakGently)
		waiter.waits(w.glance)
		w.mustBreak(c[1], l, driver.BreakNow)
		waiter.granted()
	}},
	{name: "break_of_one_permit_leaves_the_others", needs: needLimit, run: func(w *world) {
		c := w.clients(2)
		one := w.acquire(c[0], w.limited("k", 2))
		two := w.acquire(c[0], w.limited("k", 2))
		w.mustBreak(c[1], one, driver.BreakNow)
		w.wantHolders("k", two)
		w.mustRenew(two, w.long)
		w.wantLost(one)
	}},
	{name: "break_with_a_wrong_id_breaks_nobody", run: func(w *world) {
		c := w.clients(2)
		l := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[1], w.request("k"))
		gone := w.acquire(c[0], w.request("other"))
		w.mustRelease(gone)
		for what, h := range map[string]driver.Hold{
			"an unknown id":                    {Key: "k", ID: driver.NewLeaseID()},
			"the id of a waiter":               {Key: "k", ID: waiter.req.ID},
			"the id of a lease on another key": {Key: "other", ID: l.req.ID},
			"the id of a lease that is over":   {Key: "other", ID: gone.req.ID},
			"an id on an unused key":           {Key: "unused", ID: l.req.ID},
		} {
			w.wantError("Break with "+what, w.breakBy(c[1], h.Key, h.ID, driver.BreakNow), driver.ErrLost)
		}
		w.mustRenew(l, w.long)
		w.wantHolders("k", l)
		w.wantLine("k", waiter.req.ID)
		w.wantNothing("unused")
	}},
	{name: "break_nudges_the_holder", nudges: true, run: breakNudges},
}

// mustBreak breaks a lease, or ends the case.
func (w *world) mustBreak(d driver.Driver, l *lease, how driver.BreakHow) {
	w.Helper()
	if err := w.breakLease(d, l, how); err != nil {
		w.Fatalf("Break of a lease that is held: %v", err)
	}
}

func breakNudges(w *world) {
	c := w.clients(2)
	nudger := c[0].(driver.Nudger)
	quiet := w.acquire(c[0], w.request("quiet"))
	var stops []func()
	watch := func(l *lease) <-chan struct{} {
		nudged := make(chan struct{}, 100)
		stop := nudger.Nudge(l.hold(), func() {
			select {
			case nudged <- struct{}{}:
			default:
			}
		})
		stops = append(stops, stop)
		return nudged
	}
	stopped := watch(quiet)
	stops[0]()
	for len(stopped) > 0 {
		<-stopped // From before: a driver may nudge when it begins to listen.
	}
	for _, how := range []driver.BreakHow{driver.BreakGently, driver.BreakNow} {
		if how == driver.BreakGently && !w.caps.Has(driver.CapBreak) {
			continue
		}
		l := w.acquire(c[0], w.request("k"))
		nudged := watch(l)
		w.mustBreak(c[1], l, how)
		ctx, cancel := w.bounded()
		select {
		case <-nudged:
		case <-ctx.Done():
			w.Fatalf("the holder was not nudged when its lease was broken")
		}
		cancel()
		w.wantLost(l)
		_ = w.release(l)
	}
	w.mustBreak(c[1], quiet, driver.BreakNow)
	w.wait(w.glance)
	for _, stop := range stops[1:] {
		stop()
	}
	select {
	case <-stopped:
		w.Fatalf("a nudge came after stop had returned")
	default:
	}
}
