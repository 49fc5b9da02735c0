package locktest

import (
	"time"

	"github.com/stilelock/stile/driver"
)

// tryCases are about asking without waiting.
var tryCases = []testCase{
	{name: "busy_names_the_holder", run: func(w *world) {
		c := w.clients(2)
		req := w.request("k")
		req.Owner = "alice on host-1"
		held := w.acquire(c[0], req)
		busy := w.wantBusy(c[1], w.request("k"))
		if busy.Key != "k" || busy.Limit != 1 || len(busy.Holders) != 1 {
			w.Fatalf("the BusyError is %+v; want key k, limit 1 and one holder", busy)
		}
		w.wantHolder(busy.Holders[0], held)
	}},
	{name: "busy_names_holders_of_a_semaphore", needs: needLimit, run: func(w *world) {
		d := w.client()
		first := w.acquire(d, w.limited("k", 2))
		second := w.acquire(d, w.limited("k", 2))
		busy := w.wantBusy(d, w.limited("k", 2))
		if busy.Limit != 2 || len(busy.Holders) != 2 {
			w.Fatalf("the BusyError is %+v; want limit 2 and two holders", busy)
		}
		w.wantHolder(busy.Holders[0], first)
		w.wantHolder(busy.Holders[1], second)
	}},
	{name: "busy_names_some_of_a_crowd", needs: needShared, run: func(w *world) {
		d := w.client()
		var first *lease
		for i := range 30 {
			if l := w.acquire(d, w.shared("k")); i == 0 {
				first = l
			}
		}
		busy := w.wantBusy(d, w.request("k"))
		if n := len(busy.Holders); n == 0 || n > 30 {
			w.Fatalf("the BusyError of a key that 30 readers hold names %d holders", n)
		}
		w.wantHolder(busy.Holders[0], first)
	}},
	{name: "refused_attempt_is_not_in_line", run: func(w *world) {
		c := w.clients(2)
		held := w.acquire(c[0], w.request("k"))
		refused := w.request("k")
		w.wantBusy(c[1], refused)
		w.wantLine("k")
		w.mustRelease(held)
		w.wantNothing("k")
		w.wantError("Release of a refused attempt", w.releaseBy(c[1], driver.Hold{Key: "k", ID: refused.ID}), driver.ErrLost)
	}},
	{name: "line_comes_before_those_who_do_not_wait", needs: needShared, run: func(w *world) {
		c := w.clients(3)
		w.acquire(c[0], w.shared("k"))
		w.standBehind(c[1], w.request("k"))
		w.wantBusy(c[2], w.shared("k")) // There is room for a reader, but a writer is before it.
	}},
	{name: "free_key_is_granted", run: func(w *world) {
		c := w.clients(2)
		for i := range 20 {
			w.mustRelease(w.mustTry(c[i%2], w.request("k")))
		}
	}},
}

// wantHolder compares what the store says of a holder with its lease. What the
// store says of times is for people and comes from its wall clock, so it has
// to be plausible, no more.
func (w *world) wantHolder(h driver.Holder, l *lease) {
	w.Helper()
	if h.ID != l.req.ID || h.Owner != l.req.Owner || h.Mode != l.req.Mode || h.Token != l.grant.Token || h.Ended != "" {
		w.Fatalf("the holder is listed as %+v; want id %v, owner %q, mode %v, token %d, not ended",
			h, l.req.ID, l.req.Owner, l.req.Mode, l.grant.Token)
	}
	w.wantRecent("the holder's since", h.Since)
	if lives := h.Expires.Sub(h.Since); lives < l.ttl()-drift(l.ttl()) {
		w.Fatalf("the holder is listed to expire %v after its grant; its TTL is %v", lives, l.ttl())
	}
	if left := time.Until(h.Expires); left > l.ttl()+time.Minute {
		w.Fatalf("the holder is listed to expire %v from now; its TTL is %v", left, l.ttl())
	}
}

// wantRecent checks that a reading of the store's wall clock is of this case,
// give or take a minute.
func (w *world) wantRecent(what string, at time.Time) {
	w.Helper()
	if off := time.Since(at).Abs(); off > time.Minute+10*w.slack {
		w.Fatalf("%s is %v, which is %v off", what, at, off)
	}
}
