package locktest

import (
	"context"

	"github.com/stilelock/stile/driver"
)

// reopenCases are about stores that outlive their clients.
var reopenCases = []testCase{
	{name: "lease_outlives_a_reopen", needs: needDurable, run: func(w *world) {
		req := w.request("k")
		req.Metadata = map[string]string{"job": "nightly"}
		l := w.acquire(w.client(), req)
		before := w.holder(l)
		w.reopen()
		after := w.holder(l)
		w.wantHolder(after, l)
		if after.Metadata["job"] != "nightly" || !after.Since.Equal(before.Since) {
			w.Fatalf("the holder was %+v before the reopen and is %+v after it", before, after)
		}
		w.wantBusy(w.client(), w.request("k"))
	}},
	{name: "lease_can_be_adopted_after_a_reopen", needs: []driver.Capability{driver.CapDurable, driver.CapAdopt}, run: func(w *world) {
		l := w.acquire(w.client(), w.request("k"))
		w.reopen()
		l.client = w.client()
		w.mustRenew(l, w.long)
		w.mustRelease(l)
		w.wantNothing("k")
	}},
	{name: "lease_expires_after_a_reopen", needs: needDurable, run: func(w *world) {
		req := w.request("k")
		req.TTL = w.kept
		l := w.acquire(w.client(), req)
		w.reopen()
		next := w.start(w.client(), w.request("k")).grantedWithin(l.ttl())
		w.wantNotBefore(next, l.sent.Add(l.ttl()), l.ttl())
	}},
	{name: "tokens_rise_across_a_reopen", run: func(w *world) {
		var last uint64
		for range 4 {
			l := w.acquire(w.client(), w.request("k"))
			w.wantRise(&last, l.grant.Token, 1)
			w.mustRelease(l)
			w.reopen()
		}
	}},
	{name: "lease_outlives_a_restart_of_the_store", needs: needDurable, uses: []Hook{HookRestart}, run: func(w *world) {
		c := w.clients(2)
		l := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[1], w.request("k"))
		w.restart()
		w.until("the holder renews after the restart", func() bool {
			_, err := w.renew(l, w.long)
			if err != nil {
				w.wantError("Renew after a restart of the store", err, driver.ErrUnavailable)
			}
			return err == nil
		})
		w.mustRelease(l)
		if next := w.persist(waiter); next.grant.Token <= l.grant.Token {
			w.Fatalf("token %d was granted after token %d", next.grant.Token, l.grant.Token)
		}
	}},
	{name: "tokens_rise_across_a_restart_of_the_store", uses: []Hook{HookRestart}, run: func(w *world) {
		var last uint64
		for range 3 {
			var l *lease
			w.until("the client is served after a restart", func() bool {
				var err error
				l, err = w.try(w.client(), w.request("k")) // Anew each time: one that was withdrawn is over.
				if err != nil {
					w.wantError("Acquire after a restart of the store", err, driver.ErrUnavailable)
				}
				return err == nil
			})
			w.wantRise(&last, l.grant.Token, 1)
			w.mustRelease(l)
			w.restart()
		}
	}},
}

var needDurable = []driver.Capability{driver.CapDurable}

// reopen closes the one client there is, and opens a new one.
func (w *world) reopen() {
	w.Helper()
	w.closeClient(w.first)
	w.first = w.open()
}

// restart restarts the store under its clients.
func (w *world) restart() {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 20*w.slack)
	defer cancel()
	if err := w.store.Restart(ctx); err != nil {
		w.Fatalf("restart the store: %v", err)
	}
}
