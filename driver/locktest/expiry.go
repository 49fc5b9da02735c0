package locktest

import (
	"time"

	"github.com/stilelock/stile/driver"
)

// expiryCases are about leases that run out. They look at nothing while they
// wait, for a look might be what makes the store notice.
var expiryCases = []testCase{
	{name: "line_moves_on_over_dead_holders", run: func(w *world) {
		c := w.clients(3)
		l := w.acquire(c[0], w.expiring("k"))
		first := w.start(c[1], w.expiring("k"))
		next := first.grantedWithin(l.ttl())
		last := w.start(c[2], w.request("k"))
		w.wantNotBefore(last.grantedWithin(next.ttl()), l.sent.Add(l.ttl()+next.ttl()), l.ttl()+next.ttl())
	}},
	{name: "ttl_of_a_waiter_counts_from_its_grant", run: func(w *world) {
		c := w.clients(3)
		held := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[1], w.expiring("k"))
		next := w.standBehind(c[2], w.request("k"))
		waiter.waits(2 * w.short)
		released := driver.SystemClock()
		w.mustRelease(held)
		l := waiter.granted()
		w.wantNotBefore(next.grantedWithin(l.ttl()), released.Add(l.ttl()), l.ttl())
	}},
	{name: "deadline_comes_before_the_next_grant", run: func(w *world) {
		// The holder counts its TTL from Grant.From. When it thinks that it
		// still holds, nobody else may have been granted.
		c := w.clients(3)
		held := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[1], w.expiring("k"))
		next := w.standBehind(c[2], w.expiring("k"))
		waiter.waits(2 * w.short)
		w.mustRelease(held)
		one := waiter.granted()
		two := next.grantedWithin(one.ttl())
		w.wantDeadlineBefore(one, two)
		w.wantDeadlineBefore(two, w.start(c[0], w.request("k")).grantedWithin(two.ttl()))
	}},
	{name: "grant_after_a_long_wait_has_time_left", run: func(w *world) {
		// Counted from the call of Acquire, the lease would be over before it
		// was granted.
		c := w.clients(2)
		w.hurry(w.kept, func(key string, ttl time.Duration) bool {
			held := w.acquire(c[0], w.request(key))
			req := w.request(key)
			req.TTL = ttl
			waiter := w.standBehind(c[1], req)
			waiter.waits(ttl + ttl/4)
			released := driver.SystemClock()
			w.mustRelease(held)
			l := waiter.granted()
			if !inTime(released, ttl/2) {
				return false
			}
			if left := l.from().Add(l.ttl()).Sub(l.got); left <= 0 {
				w.Fatalf("the grant says that its TTL of %v was over %v before Acquire returned", l.ttl(), -left)
			}
			return true
		})
	}},
	{name: "deadline_counts_from_the_readings_of_the_caller", run: func(w *world) {
		// Request.Now may be any clock, such as one of a test.
		req := w.request("k")
		const shift = driver.Instant(1e15)
		req.Now = func() driver.Instant { return driver.SystemClock() + shift }
		l := w.acquire(w.client(), req)
		if l.grant.From != 0 && (l.grant.From < l.sent+shift-driver.Instant(w.short) || l.grant.From > l.got+shift) {
			w.Fatalf("Grant.From is %d; Acquire began at %d and ended at %d on the clock of the request", l.grant.From, l.sent+shift, l.got+shift)
		}
	}},
}

func expiryHandsOver(w *world) {
	c := w.clients(2)
	dead := w.acquire(c[0], w.expiring("k"))
	next := w.start(c[1], w.request("k")).grantedWithin(dead.ttl())
	w.wantNotBefore(next, dead.sent.Add(dead.ttl()), dead.ttl())
	w.wantDeadlineBefore(dead, next)
	w.wantLost(dead)
	w.wantHolders("k", next)
}

func expiryFreesForTry(w *world) {
	c := w.clients(2)
	dead := w.acquire(c[0], w.expiring("k"))
	var next *lease
	w.until("a lease that nobody renews runs out", func() bool {
		next, _ = w.try(c[1], w.request("k"))
		return next != nil
	})
	w.wantNotBefore(next, dead.sent.Add(dead.ttl()), dead.ttl())
	if late := next.sent.Sub(dead.got.Add(dead.ttl())); late > w.slack {
		w.Fatalf("a lease with a TTL of %v still kept its key %v after that", dead.ttl(), late)
	}
	if next.grant.Token <= dead.grant.Token {
		w.Fatalf("token %d was granted after token %d", next.grant.Token, dead.grant.Token)
	}
	w.wantLost(dead)
}

// wantDeadlineBefore checks that the first holder's deadline was over when the
// second was granted. Whatever the second took to hear of it is to
// its disadvantage.
func (w *world) wantDeadlineBefore(first, second *lease) {
	w.Helper()
	deadline := first.from().Add(first.ttl())
	if overlap := deadline.Sub(second.got); overlap > drift(first.ttl()) {
		w.Fatalf("by Grant.From the first holder may work for another %v when the second is granted", overlap)
	}
}
