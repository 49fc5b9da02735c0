package locktest

import (
	"fmt"
	"time"

	"github.com/stilelock/stile/driver"
)

var needTTL = []driver.Capability{driver.CapTTL}

// renewCases are about keeping a lease.
var renewCases = []testCase{
	{name: "renewed_lease_outlives_its_ttl", run: func(w *world) { w.hurry(w.kept, w.renewedLeaseLives) }},
	{name: "renew_with_a_longer_ttl", needs: needTTL, run: func(w *world) {
		c := w.clients(2)
		w.hurry(w.short, func(key string, ttl time.Duration) bool {
			req := w.request(key)
			req.TTL = ttl
			l := w.acquire(c[0], req)
			_, err := w.renew(l, w.long)
			if !inTime(l.sent, ttl) {
				return false
			}
			if err != nil {
				w.Fatalf("Renew in time: %v", err)
			}
			w.start(c[1], w.request(key)).waits(2 * ttl)
			w.wantHolders(key, l)
			w.mustRenew(l, w.long)
			return true
		})
	}},
	{name: "renew_with_a_shorter_ttl", needs: needTTL, run: func(w *world) {
		c := w.clients(2)
		l := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[1], w.request("k"))
		sent := w.mustRenew(l, w.short)
		w.wantNotBefore(waiter.grantedWithin(w.short), sent.Add(w.short), w.short)
		w.wantLost(l)
	}},
	{name: "renew_by_another_client", needs: needAdopt, run: func(w *world) {
		c := w.clients(2)
		l := w.acquire(c[0], w.request("k"))
		if err := w.renewBy(c[1], l.hold(), w.long); err != nil {
			w.Fatalf("Renew by another client: %v", err)
		}
		w.mustRenew(l, w.long)
	}},
	{name: "renew_after_expiry_is_lost", run: func(w *world) {
		c := w.clients(2)
		dead := w.acquire(c[0], w.expiring("k"))
		next := w.start(c[1], w.request("k")).grantedWithin(dead.ttl())
		w.wantLost(dead)
		w.wantHolders("k", next)
	}},
	{name: "lost_lease_never_comes_back", run: func(w *world) {
		c := w.clients(2)
		dead := w.acquire(c[0], w.expiring("k"))
		next := w.start(c[1], w.request("k")).grantedWithin(dead.ttl())
		w.mustRelease(next)
		w.wantLost(dead) // Though the key is free again.
		w.wantNothing("k")
		w.wantLost(dead)
	}},
	{name: "old_token_of_an_attempt_stays_lost", run: func(w *world) {
		l := w.acquire(w.client(), w.request("k"))
		w.mustRelease(l)
		again := w.acquire(w.client(), l.req) // The same id, and another lease.
		if again.grant.Token <= l.grant.Token {
			w.Fatalf("token %d was granted after token %d", again.grant.Token, l.grant.Token)
		}
		w.wantLost(l)
		w.mustRenew(again, w.long)
	}},
	{name: "renew_after_release_is_lost", run: func(w *world) {
		l := w.acquire(w.client(), w.request("k"))
		w.mustRelease(l)
		w.wantLost(l)
		w.wantNothing("k")
	}},
	{name: "renew_with_a_wrong_id_is_lost", run: func(w *world) {
		c := w.clients(2)
		l := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[1], w.request("k"))
		for what, h := range map[string]driver.Hold{
			"an unknown id":            {Key: "k", ID: driver.NewLeaseID(), Token: l.grant.Token, TTL: w.long},
			"the id, on an unused key": {Key: "unused", ID: l.req.ID, Token: l.grant.Token, TTL: w.long},
			"the id of a waiter":       {Key: "k", ID: waiter.req.ID, TTL: w.long},
		} {
			w.wantError("Renew with "+what, w.renewBy(c[0], h, w.long), driver.ErrLost)
		}
		waiter.waits(w.glance)
		w.wantHolders("k", l)
		w.wantNothing("unused")
	}},
}

// renewedLeaseLives renews a lease for two TTLs, and then no more.
func (w *world) renewedLeaseLives(key string, ttl time.Duration) bool {
	c := w.clients(2)
	req := w.request(key)
	req.TTL = ttl
	l := w.acquire(c[0], req)
	waiter := w.start(c[1], w.request(key))
	renewed := l.sent
	for step := 1; step <= 8; step++ {
		w.pass(l.sent.Add(ttl / 4 * time.Duration(step)))
		sent, err := w.renew(l, ttl)
		if !inTime(renewed, ttl) {
			return false
		}
		if err != nil {
			w.Fatalf("Renew in time: %v", err)
		}
		renewed = sent
	}
	w.wantNotBefore(waiter.grantedWithin(ttl), renewed.Add(ttl), ttl)
	w.wantLost(l)
	return true
}

// hurry runs an attempt that has to do something before a lease of its own
// runs out. When it reports that this machine was too slow for that, it has
// shown nothing either way, and is made again with twice the TTL on another key.
func (w *world) hurry(ttl time.Duration, attempt func(key string, ttl time.Duration) (inTime bool)) {
	w.Helper()
	for i := range 6 {
		if attempt(fmt.Sprintf("k%d", i), ttl<<i) {
			return
		}
		w.Logf("this machine was too slow for a TTL of %v", ttl<<i)
	}
	w.Fatalf("this machine stands still for longer than %v: the case proves nothing", ttl<<5)
}

// inTime reports whether a lease that was asked for at sent cannot have run out
// yet.
func inTime(sent driver.Instant, ttl time.Duration) bool {
	return driver.SystemClock().Sub(sent) < ttl-drift(ttl)
}
