package locktest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/stilelock/stile/driver"
)

// mutexCases are what a lock is at the very least. They run for each kind of
// key; see kind.
var mutexCases = []testCase{
	{name: "held_key_excludes_others", run: heldKeyExcludes},
	{name: "holder_excludes_itself", run: holderExcludesItself},
	{name: "free_again_after_release", run: freeAfterRelease},
	{name: "line_of_ten_is_first_come_first_served", run: fifoOfTen},
	{name: "cancelled_wait_leaves_nothing", run: cancelLeavesNothing},
	{name: "cancel_racing_the_grant_leaves_nothing", run: cancelRacesGrant},
	{name: "expired_lease_is_handed_over", run: expiryHandsOver},
	{name: "expired_lease_can_be_tried_for", run: expiryFreesForTry},
	{name: "retry_of_a_grant_returns_the_same_grant", run: retryOfGrant},
	{name: "tokens_rise_from_grant_to_grant", run: tokensRise},
	{name: "200_in_contention_count_exactly", run: func(w *world) { w.contend(200, w.clients(8)) }},
}

func heldKeyExcludes(w *world) {
	c := w.clients(2)
	held := w.acquire(c[0], w.request("k"))
	busy := w.wantBusy(c[1], w.request("k"))
	if busy.Key != "k" {
		w.Fatalf("the BusyError is about key %q; want %q", busy.Key, "k")
	}
	waiter := w.standBehind(c[1], w.request("k"))
	waiter.waits(w.glance)
	w.wantHolders("k", held)
}

// A lease belongs to its handle, not to a client or a goroutine: nobody gets
// in twice.
func holderExcludesItself(w *world) {
	d := w.client()
	held := w.acquire(d, w.request("k"))
	w.wantBusy(d, w.request("k"))
	waiter := w.standBehind(d, w.request("k"))
	waiter.waits(w.glance)
	w.mustRelease(held)
	w.mustRelease(waiter.granted())
}

func freeAfterRelease(w *world) {
	c := w.clients(2)
	held := w.acquire(c[0], w.request("k"))
	waiter := w.standBehind(c[1], w.request("k"))
	w.mustRelease(held)
	w.mustRelease(waiter.granted())
	w.wantNothing("k")
	w.mustRelease(w.mustTry(c[0], w.request("k")))
	w.wantNothing("k")
}

// contend lets n attempts, spread over clients, count under the lock. Reading,
// yielding and writing the counter is not atomic, so two that are inside at once
// lose a count.
func (w *world) contend(n int, clients []driver.Driver) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 10*w.slack)
	defer cancel()
	var counter, last atomic.Uint64
	var inside atomic.Int32
	results := make(chan error)
	for i := range n {
		d, req := clients[i%len(clients)], w.request("k")
		go func() { results <- countOnce(ctx, d, req, &counter, &last, &inside) }()
	}
	for range n {
		if err := <-results; err != nil {
			w.Error(err)
		}
	}
	if got := counter.Load(); got != uint64(n) {
		w.Errorf("%d holders counted to %d", n, got)
	}
	w.wantNothing("k")
}

func countOnce(ctx context.Context, d driver.Driver, req driver.Request, counter, last *atomic.Uint64, inside *atomic.Int32) error {
	grant, err := d.Acquire(ctx, req)
	if err != nil {
		if errors.Is(err, driver.ErrAmbiguous) {
			err = errors.Join(err, d.Release(context.WithoutCancel(ctx), driver.Hold{Key: req.Key, ID: req.ID}))
		}
		return fmt.Errorf("acquire in a crowd: %w", err)
	}
	var found error
	if others := inside.Add(1) - 1; others != 0 {
		found = fmt.Errorf("%d others are inside with the holder of token %d", others, grant.Token)
	}
	n := counter.Load()
	if n%20 == 0 {
		<-time.After(5 * time.Millisecond) // Some stay, so that whoever is let in beside them is seen.
	} else {
		runtime.Gosched()
	}
	counter.Store(n + 1)
	if before := last.Swap(grant.Token); before >= grant.Token {
		found = errors.Join(found, fmt.Errorf("token %d was granted after token %d", grant.Token, before))
	}
	inside.Add(-1)
	if err := d.Release(ctx, driver.Hold{Key: req.Key, ID: req.ID, Token: grant.Token, TTL: req.TTL}); err != nil {
		found = errors.Join(found, fmt.Errorf("release in a crowd: %w", err))
	}
	return found
}

// exclusionCases are about keys and clients side by side.
var exclusionCases = []testCase{
	{name: "many_keys_do_not_exclude_each_other", run: func(w *world) {
		c := w.clients(4)
		var calls []*call
		for i := range 200 {
			calls = append(calls, w.start(c[i%4], w.request(fmt.Sprintf("key/%d", i))))
		}
		for _, c := range calls {
			c.granted() // None has been released: no key waits for another.
		}
		for i, call := range calls {
			w.wantBusy(c[(i+1)%4], w.request(call.req.Key))
		}
	}},
	{name: "many_clients_share_one_store", run: func(w *world) { w.contend(60, w.clients(20)) }},
	{name: "waiting_for_one_key_does_not_hold_up_another", run: func(w *world) {
		d := w.client()
		w.acquire(d, w.request("busy"))
		for range 20 {
			w.start(d, w.request("busy"))
		}
		for range 20 {
			w.mustRelease(w.acquire(d, w.request("free")))
		}
	}},
	{name: "bounds_of_a_request_are_kept", run: func(w *world) {
		req := w.request("k")
		req.TTL = driver.MaxTTL
		if w.caps.MaxTTL > 0 {
			req.TTL = w.caps.MaxTTL
		}
		l := w.acquire(w.client(), req)
		w.mustRelease(l)
		w.wantNothing("k")
	}},
	{name: "invalid_requests_are_refused", run: invalidRequests},
}

func invalidRequests(w *world) {
	for _, bad := range []struct {
		what string
		make func(*driver.Request)
		need driver.Capability
	}{
		{"a zero attempt id", func(r *driver.Request) { r.ID = driver.LeaseID{} }, ""},
		{"an unknown mode", func(r *driver.Request) { r.Mode = driver.Shared + 1 }, ""},
		{"the limit 0", func(r *driver.Request) { r.Limit = 0 }, ""},
		{"a negative limit", func(r *driver.Request) { r.Limit = -1 }, ""},
		{"a limit above MaxLimit", func(r *driver.Request) { r.Limit = driver.MaxLimit + 1 }, driver.CapLimit},
		{"a shared hold with the limit 2", func(r *driver.Request) { r.Mode, r.Limit = driver.Shared, 2 }, driver.CapShared},
		{"the TTL 0", func(r *driver.Request) { r.TTL = 0 }, ""},
		{"a negative TTL", func(r *driver.Request) { r.TTL = -w.long }, ""},
		{"a TTL above MaxTTL", func(r *driver.Request) { r.TTL = driver.MaxTTL + 1 }, ""},
		{"a negative minimum hold", func(r *driver.Request) { r.MinHold = -1 }, driver.CapMinHold},
		{"no tokens", func(r *driver.Request) { r.Tokens = 0 }, ""},
		{"too many tokens", func(r *driver.Request) { r.Tokens = driver.MaxTokens + 1 }, driver.CapTokenBlocks},
		{"an owner that is too long", func(r *driver.Request) { r.Owner = string(make([]byte, driver.MaxOwnerBytes+1)) }, ""},
		{"an owner that is not UTF-8", func(r *driver.Request) { r.Owner = "\xff" }, ""},
		{"metadata that is too long", func(r *driver.Request) {
			r.Metadata = map[string]string{"m": string(make([]byte, driver.MaxMetadataBytes))}
		}, ""},
		{"metadata that is not UTF-8", func(r *driver.Request) { r.Metadata = map[string]string{"\xff": ""} }, ""},
		{"a TTL below the store's MinTTL", func(r *driver.Request) { r.TTL = w.caps.MinTTL - 1 }, ""},
		{"a TTL above the store's MaxTTL", func(r *driver.Request) {
			if w.caps.MaxTTL > 0 {
				r.TTL = w.caps.MaxTTL + 1
			} else {
				r.TTL = driver.MaxTTL + 1
			}
		}, ""},
	} {
		if bad.need != "" && !w.caps.Has(bad.need) {
			continue // Refused as unsupported.
		}
		req := w.request("k")
		bad.make(&req)
		_, err := w.try(w.client(), req)
		w.wantError("Acquire with "+bad.what, err, driver.ErrInvalid)
	}
	w.wantNothing("k")
}
