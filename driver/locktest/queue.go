package locktest

import "github.com/stilelock/stile/driver"

// queueCases are about the line.
var queueCases = []testCase{
	{name: "line_passes_over_those_who_left", run: func(w *world) {
		c := w.clients(3)
		held := w.acquire(c[0], w.request("k"))
		var calls []*call
		for i := range 6 {
			calls = append(calls, w.standBehind(c[i%3], w.request("k")))
		}
		for i := 0; i < 6; i += 2 {
			calls[i].cancel()
			_ = calls[i].failed()
		}
		w.mustRelease(held)
		for i := 1; i < 6; i += 2 {
			w.mustRelease(calls[i].granted())
		}
	}},
	{name: "release_grants_the_next_in_the_same_step", run: func(w *world) {
		// A gap would let a newcomer in before the line.
		c := w.clients(2)
		held := w.acquire(c[0], w.request("k"))
		for range 20 {
			waiter := w.standBehind(c[1], w.request("k"))
			w.mustRelease(held)
			busy := w.wantBusy(c[0], w.request("k"))
			if len(busy.Holders) != 1 || busy.Holders[0].ID != waiter.req.ID {
				w.Fatalf("after the release the key is held by %+v; want the first in line, %v", busy.Holders, waiter.req.ID)
			}
			held = waiter.granted()
		}
	}},
	{name: "leaver_at_the_head_lets_the_next_move_up", run: func(w *world) {
		c := w.clients(2)
		held := w.acquire(c[0], w.request("k"))
		first := w.standBehind(c[1], w.request("k"))
		second := w.standBehind(c[0], w.request("k"))
		first.cancel()
		_ = first.failed()
		w.wantLine("k", second.req.ID)
		w.mustRelease(held)
		w.mustRelease(second.granted())
	}},
	{name: "wait_outlasts_the_ttl_asked_for", run: func(w *world) {
		// The TTL counts from the grant. A place in line does not run out
		// while its client is there.
		c := w.clients(2)
		held := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[1], w.expiring("k"))
		behind := w.standBehind(c[0], w.request("k"))
		waiter.waits(3 * w.short)
		w.wantLine("k", waiter.req.ID, behind.req.ID)
		w.mustRelease(held)
		waiter.granted()
	}},
}

func fifoOfTen(w *world) {
	c := w.clients(3)
	held := w.acquire(c[0], w.request("k"))
	var calls []*call
	for i := range 10 {
		calls = append(calls, w.standBehind(c[i%3], w.request("k")))
	}
	last := held
	for i, next := range calls {
		w.mustRelease(last)
		l := next.granted()
		w.wantHolders("k", l)
		for _, other := range calls[i+1:] {
			if other.returned() {
				other.waits(0)
			}
		}
		if l.grant.Token <= last.grant.Token {
			w.Fatalf("waiter %d got token %d after token %d", i, l.grant.Token, last.grant.Token)
		}
		last = l
	}
	w.mustRelease(last)
	w.wantNothing("k")
}

// sharedCases are about readers and writers.
var sharedCases = []testCase{
	{name: "readers_share", needs: needShared, run: func(w *world) {
		var held []*lease
		for _, d := range w.clients(5) {
			held = append(held, w.acquire(d, w.shared("k")))
		}
		w.wantHolders("k", held...)
	}},
	{name: "writer_excludes_readers", needs: needShared, run: func(w *world) {
		c := w.clients(2)
		writer := w.acquire(c[0], w.request("k"))
		w.wantBusy(c[1], w.shared("k"))
		reader := w.standBehind(c[1], w.shared("k"))
		reader.waits(w.glance)
		w.mustRelease(writer)
		reader.granted()
	}},
	{name: "writer_waits_for_the_last_reader", needs: needShared, run: func(w *world) {
		c := w.clients(3)
		one, two := w.acquire(c[0], w.shared("k")), w.acquire(c[1], w.shared("k"))
		w.wantBusy(c[2], w.request("k"))
		writer := w.standBehind(c[2], w.request("k"))
		w.mustRelease(one)
		writer.waits(w.glance)
		w.mustRelease(two)
		l := writer.granted()
		w.wantHolders("k", l)
	}},
	{name: "waiting_writer_holds_back_later_readers", needs: needShared, run: func(w *world) {
		c := w.clients(3)
		reader := w.acquire(c[0], w.shared("k"))
		writer := w.standBehind(c[1], w.request("k"))
		late := w.standBehind(c[2], w.shared("k"))
		late.waits(w.glance)
		w.mustRelease(reader)
		wrote := writer.granted()
		late.waits(w.glance)
		w.mustRelease(wrote)
		late.granted()
	}},
	{name: "leaving_writer_lets_readers_in_at_once", needs: needShared, run: func(w *world) {
		c := w.clients(3)
		reader := w.acquire(c[0], w.shared("k"))
		writer := w.standBehind(c[1], w.request("k"))
		late := w.standBehind(c[2], w.shared("k"))
		writer.cancel()
		_ = writer.failed()
		w.wantHolders("k", reader, late.granted()) // Nobody released anything.
	}},
	{name: "readers_are_granted_together_after_a_writer", needs: needShared, run: func(w *world) {
		c := w.clients(3)
		writer := w.acquire(c[0], w.request("k"))
		var readers []*call
		for i := range 5 {
			readers = append(readers, w.standBehind(c[i%3], w.shared("k")))
		}
		next := w.standBehind(c[1], w.request("k"))
		behind := w.standBehind(c[2], w.shared("k"))
		w.mustRelease(writer)
		var held []*lease
		for _, r := range readers {
			held = append(held, r.granted())
		}
		w.wantHolders("k", held...)
		next.waits(w.glance)
		for _, l := range held {
			w.mustRelease(l)
		}
		w.mustRelease(next.granted())
		behind.granted()
	}},
	{name: "expired_readers_give_way_to_a_writer", needs: needShared, run: func(w *world) {
		c := w.clients(3)
		for _, d := range c[:2] {
			req := w.shared("k")
			req.TTL = w.short
			w.acquire(d, req)
		}
		w.start(c[2], w.request("k")).grantedWithin(w.short)
	}},
}

var needShared = []driver.Capability{driver.CapShared}
