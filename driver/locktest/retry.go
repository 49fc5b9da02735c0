package locktest

import (
	"context"
	"time"

	"github.com/stilelock/stile/driver"
)

// retryCases are about attempts that are sent twice.
var retryCases = []testCase{
	{name: "retry_of_a_waiting_attempt_keeps_its_place", run: func(w *world) {
		c := w.clients(3)
		held := w.acquire(c[0], w.request("k"))
		first := w.standBehind(c[1], w.request("k"))
		second := w.standBehind(c[2], w.request("k"))
		again := w.start(c[1], first.req)
		again.waits(w.glance)
		w.wantLine("k", first.req.ID, second.req.ID)
		w.mustRelease(held)
		l := again.granted()
		w.wantHolders("k", l)
		switch {
		case !first.over(w.slack):
			w.Fatalf("the first call of a retried attempt still waits %v after the grant", w.slack)
		case first.err != nil:
			w.Fatalf("the first call of a retried attempt: %v", first.err)
		case first.lease.grant.Token != l.grant.Token:
			w.Fatalf("two calls of one attempt got the tokens %d and %d", first.lease.grant.Token, l.grant.Token)
		}
		second.waits(w.glance)
		w.mustRelease(l)
		second.granted()
	}},
	{name: "retry_of_a_waiting_attempt_that_is_cancelled_leaves_nothing", run: func(w *world) {
		c := w.clients(2)
		held := w.acquire(c[0], w.request("k"))
		first := w.standBehind(c[1], w.request("k"))
		again := w.start(c[1], first.req)
		again.waits(w.glance)
		first.cancel()
		again.cancel()
		for _, call := range []*call{first, again} {
			w.wantContextError(call, context.Canceled)
		}
		w.wantLine("k")
		w.mustRelease(held)
		w.wantNothing("k")
	}},
	{name: "retry_of_a_grant_starts_its_ttl_anew", run: func(w *world) {
		c := w.clients(2)
		w.hurry(w.kept, func(key string, ttl time.Duration) bool {
			req := w.request(key)
			req.TTL = ttl
			first := w.acquire(c[0], req)
			w.pass(first.sent.Add(ttl / 2))
			again := w.acquire(c[0], req)
			if !inTime(first.sent, ttl) {
				return false
			}
			if again.grant.Token != first.grant.Token {
				w.Fatalf("the retry got token %d; want %d, the token of its grant", again.grant.Token, first.grant.Token)
			}
			w.wantNotBefore(w.start(c[1], w.request(key)).grantedWithin(ttl), again.sent.Add(ttl), ttl)
			return true
		})
	}},
	{name: "retry_by_another_client_returns_the_same_grant", needs: needAdopt, run: func(w *world) {
		c := w.clients(2)
		first := w.acquire(c[0], w.request("k"))
		again := w.acquire(c[1], first.req)
		if again.grant.Token != first.grant.Token {
			w.Fatalf("the retry got token %d; want %d, the token of its grant", again.grant.Token, first.grant.Token)
		}
		w.wantHolders("k", again)
		w.mustRenew(again, w.long)
		w.mustRelease(again)
		w.wantNothing("k")
	}},
	{name: "retry_of_a_lease_that_was_broken_is_lost", needs: needBreak, run: func(w *world) {
		c := w.clients(2)
		l := w.acquire(c[0], w.request("k"))
		if err := w.breakLease(c[1], l, driver.BreakGently); err != nil {
			w.Fatalf("Break: %v", err)
		}
		_, err := w.try(c[0], l.req)
		w.wantError("Acquire with the id of a broken lease", err, driver.ErrLost)
	}},
}

var (
	needAdopt = []driver.Capability{driver.CapAdopt}
	needBreak = []driver.Capability{driver.CapBreak}
)

func retryOfGrant(w *world) {
	c := w.clients(2)
	held := w.acquire(c[0], w.request("k"))
	waiter := w.standBehind(c[1], w.request("k"))
	for range 3 {
		again := w.acquire(c[0], held.req)
		if again.grant.Token != held.grant.Token {
			w.Fatalf("the retry got token %d; want %d, the token of its grant", again.grant.Token, held.grant.Token)
		}
		w.wantHolders("k", held)
	}
	waiter.waits(w.glance)
	w.mustRelease(held) // Once is enough, however often it was asked for.
	next := waiter.granted()
	again := w.acquire(c[1], waiter.req)
	if again.grant.Token != next.grant.Token {
		w.Fatalf("the retry of a waiter that was granted got token %d; want %d", again.grant.Token, next.grant.Token)
	}
	w.mustRelease(next)
	w.wantNothing("k")
}

// wantNotBefore checks that a lease was not granted before another one, of that
// TTL, has run out.
func (w *world) wantNotBefore(l *lease, end driver.Instant, ttl time.Duration) {
	w.Helper()
	if early := end.Sub(l.got); early > drift(ttl) {
		w.Fatalf("key %q was granted %v before the lease of another, with a TTL of %v, had run out", l.req.Key, early, ttl)
	}
}
