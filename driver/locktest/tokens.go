package locktest

import (
	"github.com/stilelock/stile/driver"
)

// tokenCases are about fencing tokens.
var tokenCases = []testCase{
	{name: "rise_across_expiry", run: func(w *world) {
		c := w.clients(2)
		var last uint64
		for i := range 3 {
			dead := w.start(c[i%2], w.expiring("k")).grantedWithin(w.short)
			w.wantRise(&last, dead.grant.Token, 1)
		}
	}},
	{name: "rise_across_break", run: func(w *world) {
		c := w.clients(2)
		var last uint64
		for i := range 5 {
			l := w.acquire(c[i%2], w.request("k"))
			w.wantRise(&last, l.grant.Token, 1)
			if err := w.breakLease(c[(i+1)%2], l, driver.BreakNow); err != nil {
				w.Fatalf("Break: %v", err)
			}
		}
	}},
	{name: "rise_with_each_reader", needs: needShared, run: func(w *world) {
		c := w.clients(3)
		writer := w.acquire(c[0], w.request("k"))
		last := writer.grant.Token
		var calls []*call
		for i := range 6 {
			calls = append(calls, w.standBehind(c[i%3], w.shared("k")))
		}
		w.mustRelease(writer)
		var held []*lease
		for _, call := range calls {
			l := call.granted()
			held = append(held, l)
			w.wantRise(&last, l.grant.Token, 1) // Granted together, in the order of the line.
		}
		held = append(held, w.acquire(c[0], w.shared("k")))
		w.wantRise(&last, held[6].grant.Token, 1)
		for _, l := range held {
			w.mustRelease(l)
		}
		w.wantRise(&last, w.acquire(c[1], w.request("k")).grant.Token, 1)
	}},
	{name: "rise_with_each_permit", needs: needLimit, run: func(w *world) {
		c := w.clients(3)
		var last uint64
		var held []*lease
		for i := range 12 {
			if i >= 4 {
				w.mustRelease(held[i-4])
			}
			l := w.acquire(c[i%3], w.limited("k", 4))
			held = append(held, l)
			w.wantRise(&last, l.grant.Token, 1)
		}
	}},
	{name: "rise_across_changes_of_limit", needs: needLimit, run: func(w *world) {
		var last uint64
		for _, n := range []int{1, 3, 2, 1} {
			l := w.acquire(w.client(), w.limited("k", n))
			w.wantRise(&last, l.grant.Token, 1)
			w.mustRelease(l)
		}
	}},
	{name: "blocks_do_not_overlap", needs: []driver.Capability{driver.CapTokenBlocks}, run: func(w *world) {
		c := w.clients(2)
		var last uint64
		for i, n := range []int{1000, 1, 7, 1, driver.MaxTokens, 1} {
			req := w.request("k")
			req.Tokens = n
			l := w.acquire(c[i%2], req)
			w.wantRise(&last, l.grant.Token, n)
			w.mustRelease(l)
		}
	}},
	{name: "waiters_get_blocks_too", needs: []driver.Capability{driver.CapTokenBlocks}, run: func(w *world) {
		c := w.clients(2)
		held := w.acquire(c[0], w.request("k"))
		last := held.grant.Token
		req := w.request("k")
		req.Tokens = driver.MaxTokens
		first := w.standBehind(c[1], req)
		second := w.standBehind(c[0], w.request("k"))
		w.mustRelease(held)
		l := first.granted()
		w.wantRise(&last, l.grant.Token, req.Tokens)
		if again := w.acquire(c[1], req); again.grant.Token != l.grant.Token {
			w.Fatalf("the retry got token %d; want the block from %d", again.grant.Token, l.grant.Token)
		}
		w.mustRelease(l)
		w.wantRise(&last, second.granted().grant.Token, 1)
	}},
	{name: "rise_though_the_record_was_dropped", uses: []Hook{HookForget}, run: func(w *world) {
		var last uint64
		for i := range 5 {
			l := w.acquire(w.client(), w.request("k"))
			w.wantRise(&last, l.grant.Token, 1)
			w.mustRelease(l)
			ctx, cancel := w.bounded()
			err := w.store.Forget(ctx, "k")
			cancel()
			if err != nil {
				w.Fatalf("drop the record, round %d: %v", i, err)
			}
		}
	}},
	{name: "attempts_that_were_never_granted_cost_no_order", run: func(w *world) {
		c := w.clients(2)
		held := w.acquire(c[0], w.request("k"))
		for range 5 {
			w.wantBusy(c[1], w.request("k"))
			gone := w.standBehind(c[1], w.request("k"))
			gone.cancel()
			_ = gone.failed()
		}
		waiter := w.standBehind(c[1], w.request("k"))
		w.mustRelease(held)
		last := held.grant.Token
		w.wantRise(&last, waiter.granted().grant.Token, 1)
	}},
}

func tokensRise(w *world) {
	c := w.clients(3)
	var last uint64
	for i := range 12 {
		l := w.acquire(c[i%3], w.request("k"))
		w.wantRise(&last, l.grant.Token, 1)
		if listed := w.holder(l).Token; listed != l.grant.Token {
			w.Fatalf("List shows the token %d for a lease with token %d", listed, l.grant.Token)
		}
		w.mustRelease(l)
	}
}

// wantRise checks that a block of n tokens begins after the last token, and
// makes its end the last token.
func (w *world) wantRise(last *uint64, first uint64, n int) {
	w.Helper()
	if first <= *last {
		w.Fatalf("token %d was granted after token %d", first, *last)
	}
	*last = first + uint64(n) - 1
}
