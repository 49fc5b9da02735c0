package locktest

import (
	"errors"

	"github.com/stilelock/stile/driver"
)

var needLimit = []driver.Capability{driver.CapLimit}

// limitCases are about semaphores.
var limitCases = []testCase{
	{name: "limit_lets_n_in_and_no_more", needs: needLimit, run: func(w *world) {
		c := w.clients(4)
		var held []*lease
		for i := range 3 {
			held = append(held, w.acquire(c[i], w.limited("k", 3)))
		}
		w.wantBusy(c[3], w.limited("k", 3))
		waiter := w.standBehind(c[3], w.limited("k", 3))
		waiter.waits(w.glance)
		w.wantHolders("k", held...)
		w.mustRelease(held[1])
		w.wantHolders("k", held[0], held[2], waiter.granted())
	}},
	{name: "freed_permits_go_to_the_line_in_order", needs: needLimit, run: func(w *world) {
		c := w.clients(3)
		held := []*lease{w.acquire(c[0], w.limited("k", 2)), w.acquire(c[1], w.limited("k", 2))}
		var calls []*call
		for i := range 6 {
			calls = append(calls, w.standBehind(c[i%3], w.limited("k", 2)))
		}
		for i, next := range calls {
			w.mustRelease(held[i])
			held = append(held, next.granted())
			w.wantHolders("k", held[i+1], held[i+2])
		}
	}},
	{name: "expired_permit_frees_one", needs: needLimit, run: func(w *world) {
		c := w.clients(2)
		w.acquire(c[0], w.limited("k", 2))
		req := w.limited("k", 2)
		req.TTL = w.short
		short := w.acquire(c[0], req)
		first := w.start(c[1], w.limited("k", 2))
		second := first.grantedWithin(short.ttl())
		if early := short.sent.Add(short.ttl()).Sub(second.got); early > drift(short.ttl()) {
			w.Fatalf("the permit was granted %v before the lease that had it ran out", early)
		}
		w.wantBusy(c[1], w.limited("k", 2))
	}},
	{name: "large_limit", needs: needLimit, run: func(w *world) {
		for range 50 {
			w.acquire(w.client(), w.limited("k", driver.MaxLimit))
		}
	}},
	{name: "another_limit_is_refused", needs: needLimit, run: anotherLimit},
	{name: "another_limit_is_refused_while_readers_hold", needs: []driver.Capability{driver.CapLimit, driver.CapShared}, run: func(w *world) {
		w.acquire(w.client(), w.shared("k"))
		w.wantLimitError(w.limited("k", 2), 1)
	}},
	{name: "limit_may_change_once_the_key_is_free", needs: needLimit, run: func(w *world) {
		d := w.client()
		for _, n := range []int{2, 1, 5} {
			var held []*lease
			for range n {
				held = append(held, w.acquire(d, w.limited("k", n)))
			}
			w.wantBusy(d, w.limited("k", n))
			for _, l := range held {
				w.mustRelease(l)
			}
		}
	}},
}

func anotherLimit(w *world) {
	d := w.client()
	one := w.acquire(d, w.limited("k", 2))
	w.wantLimitError(w.limited("k", 3), 2)
	w.wantLimitError(w.limited("k", 1), 2)
	w.acquire(d, w.limited("k", 2))
	waiter := w.standBehind(d, w.limited("k", 2))
	w.mustRelease(one)
	waiter.granted()
	w.wantLimitError(w.limited("k", 3), 2)
	w.wantLine("k") // Nobody with another limit was left in line.
}

// wantLimitError checks that a request is refused because the key is in use
// with another limit, whether it would wait or not.
func (w *world) wantLimitError(req driver.Request, inUse int) {
	w.Helper()
	_, tried := w.try(w.client(), req)
	req.ID = driver.NewLeaseID()
	for _, err := range []error{tried, w.start(w.client(), req).failed()} {
		w.wantError("Acquire with another limit", err, driver.ErrLimitMismatch)
		var mismatch *driver.LimitError
		if !errors.As(err, &mismatch) {
			w.Fatalf("Acquire with another limit: got the error %q; want a *driver.LimitError", err)
		}
		if want := (driver.LimitError{Key: req.Key, InUse: inUse, Asked: req.Limit}); *mismatch != want {
			w.Fatalf("the LimitError is %+v; want %+v", *mismatch, want)
		}
	}
}
