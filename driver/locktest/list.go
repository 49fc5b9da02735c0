package locktest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stilelock/stile/driver"
)

// listCases are about what people see.
var listCases = []testCase{
	{name: "empty_store_lists_nothing", run: func(w *world) {
		for _, prefix := range []string{"", "k", "%"} {
			if states := w.list(w.client(), prefix); len(states) != 0 {
				w.Fatalf("an empty store lists %+v", states)
			}
		}
	}},
	{name: "holder_is_listed_as_it_is", run: func(w *world) {
		c := w.clients(2)
		req := w.request("k")
		req.Owner = "alice"
		req.Metadata = map[string]string{"job": "nightly", "empty": ""}
		l := w.acquire(c[0], req)
		state, ok := w.state(c[1], "k")
		if !ok || state.Limit != 1 || len(state.Holders) != 1 || len(state.Waiters) != 0 {
			w.Fatalf("the key is listed as %+v; want limit 1, one holder, nobody in line", state)
		}
		w.wantHolder(state.Holders[0], l)
		if got := state.Holders[0].Metadata; !maps.Equal(got, req.Metadata) {
			w.Fatalf("the holder's metadata is %v; want %v", got, req.Metadata)
		}
		w.mustRelease(l)
		w.wantNothing("k")
	}},
	{name: "waiters_are_listed_in_line", run: func(w *world) {
		c := w.clients(3)
		w.acquire(c[0], w.request("k"))
		var calls []*call
		for i := range 5 {
			req := w.request("k")
			req.Owner = fmt.Sprintf("waiter %d", i)
			calls = append(calls, w.standBehind(c[i%3], req))
		}
		state, _ := w.state(c[1], "k")
		if len(state.Waiters) != 5 {
			w.Fatalf("5 wait and %d are listed", len(state.Waiters))
		}
		for i, waiter := range state.Waiters {
			req := calls[i].req
			if waiter.ID != req.ID || waiter.Owner != req.Owner || waiter.Mode != req.Mode {
				w.Fatalf("waiter %d is listed as %+v; want id %v, owner %q, mode %v", i, waiter, req.ID, req.Owner, req.Mode)
			}
			w.wantRecent("the waiter's since", waiter.Since)
		}
	}},
	{name: "readers_are_listed_with_their_mode", needs: needShared, run: func(w *world) {
		d := w.client()
		one, two := w.acquire(d, w.shared("k")), w.acquire(d, w.shared("k"))
		writer := w.standBehind(d, w.request("k"))
		reader := w.standBehind(d, w.shared("k"))
		state, _ := w.state(d, "k")
		w.wantHolders("k", one, two)
		w.wantHolder(state.Holders[0], one)
		w.wantHolder(state.Holders[1], two)
		if state.Waiters[0].Mode != writer.req.Mode || state.Waiters[1].Mode != reader.req.Mode {
			w.Fatalf("a writer and a reader in line are listed as %+v", state.Waiters)
		}
	}},
	{name: "semaphore_is_listed_with_its_limit", needs: needLimit, run: func(w *world) {
		w.acquire(w.client(), w.limited("k", 7))
		if state, _ := w.state(w.client(), "k"); state.Limit != 7 {
			w.Fatalf("a key with the limit 7 is listed with %d", state.Limit)
		}
	}},
	{name: "renewal_moves_the_expiry_and_nothing_else", run: func(w *world) {
		l := w.acquire(w.client(), w.request("k"))
		before := w.holder(l)
		w.wait(w.glance)
		w.mustRenew(l, w.long)
		after := w.holder(l)
		if !after.Expires.After(before.Expires) {
			w.Fatalf("the lease is listed to expire at %v before a renewal and at %v after it", before.Expires, after.Expires)
		}
		after.Expires = before.Expires
		if !after.Since.Equal(before.Since) || after.ID != before.ID || after.Token != before.Token {
			w.Fatalf("a renewal changed the holder from %+v to %+v", before, after)
		}
	}},
	{name: "expired_lease_is_not_listed", run: func(w *world) {
		l := w.acquire(w.client(), w.expiring("k"))
		w.pass(l.got.Add(l.ttl()))
		w.until("a lease that has run out is not listed any more", func() bool {
			_, listed := w.state(w.client(), "k")
			return !listed
		})
	}},
	{name: "keys_come_in_byte_order", run: func(w *world) {
		keys := []string{"a", "a!", "a/b", "a/b/c", "a0", "aa", "B", "b", "é", "z", "中", "🔒", "A", "a-b", "0", "~"}
		for _, key := range keys {
			w.acquire(w.client(), w.request(key))
		}
		slices.Sort(keys)
		w.wantListed("", keys...)
	}},
	{name: "prefix_is_taken_literally", run: prefixIsLiteral},
	{name: "many_keys_are_listed_once_each", run: func(w *world) {
		var keys []string
		var calls []*call
		for i := range 300 {
			keys = append(keys, fmt.Sprintf("many/%03d", i))
			calls = append(calls, w.start(w.client(), w.request(keys[i])))
		}
		for _, c := range calls {
			c.granted()
		}
		w.wantListed("many/", keys...)
		w.wantListed("many/29", keys[290:]...)
	}},
	{name: "list_may_be_left_early", run: func(w *world) {
		for i := range 5 {
			w.acquire(w.client(), w.request(fmt.Sprintf("key/%d", i)))
		}
		ctx, cancel := w.bounded()
		defer cancel()
		for range 3 {
			for state, err := range w.client().List(ctx, "key/") {
				if err != nil || state.Key != "key/0" {
					w.Fatalf("List begins with %q, %v; want key/0", state.Key, err)
				}
				break
			}
		}
		w.wantListed("key/", "key/0", "key/1", "key/2", "key/3", "key/4")
	}},
	{name: "store_can_be_used_while_listing", run: func(w *world) {
		for i := range 5 {
			w.acquire(w.client(), w.request(fmt.Sprintf("key/%d", i)))
		}
		ctx, cancel := w.bounded()
		defer cancel()
		seen := 0
		for state, err := range w.client().List(ctx, "key/") {
			if err != nil {
				w.Fatalf("List: %v", err)
			}
			seen++
			w.mustRelease(w.acquire(w.client(), w.request("other"+state.Key)))
		}
		if seen != 5 {
			w.Fatalf("List yields %d of 5 keys", seen)
		}
	}},
	{name: "what_was_listed_is_a_copy", run: func(w *world) {
		req := w.request("k")
		req.Metadata = map[string]string{"job": "nightly"}
		l := w.acquire(w.client(), req)
		req.Metadata["job"] = "changed by the caller"
		listed := w.holder(l).Metadata
		if listed["job"] != "nightly" {
			w.Fatalf("the metadata of a lease became %v when the caller changed its map", listed)
		}
		listed["job"] = "changed by the reader"
		if again := w.holder(l).Metadata; again["job"] != "nightly" {
			w.Fatalf("the metadata of a lease became %v when a reader changed its map", again)
		}
	}},
}

// wantListed checks that List yields exactly these keys, in this order.
func (w *world) wantListed(prefix string, keys ...string) {
	w.Helper()
	var listed []string
	for _, state := range w.list(w.client(), prefix) {
		listed = append(listed, state.Key)
	}
	if !slices.Equal(listed, keys) {
		w.Fatalf("List of prefix %q yields %q; want %q", prefix, listed, keys)
	}
}

// prefixIsLiteral uses what other languages of patterns find special.
func prefixIsLiteral(w *world) {
	keys := []string{
		"a%b", "a_b", "a*b", "a?b", "a[b", "a]b", `a\b`, "a{b", "a}b", "a(b", "a.b", "a^b", "a$b", "a|b", "a+b", "a#b", "a'b", `a"b`, "a b",
		"axb", "AXB", "Axb", "a/b", "a", "ax", "%", "_", "*", "é", "é1", "\U0010FFFF", "\U0010FFFF1", "a\U0010FFFF", "a\U0010FFFFz", "b",
	}
	for _, key := range keys {
		w.acquire(w.client(), w.request(key))
	}
	slices.Sort(keys)
	w.wantListed("", keys...)
	for _, prefix := range append([]string{"a/", "aX", "AX", "x", "a%b1", "[a]"}, keys...) {
		var want []string
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		w.wantListed(prefix, want...)
	}
	if got := w.list(w.client(), "a%b"); len(got) != 1 || len(got[0].Holders) != 1 || got[0].Holders[0].Mode != driver.Exclusive {
		w.Fatalf("key a%%b is listed as %+v", got)
	}
}
