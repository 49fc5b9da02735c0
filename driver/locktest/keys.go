package locktest

import (
	"maps"
	"strings"

	"github.com/stilelock/stile/driver"
)

// keyCases are about odd names.
var keyCases = []testCase{
	{name: "odd_keys_are_different_keys", run: oddKeysDiffer},
	{name: "odd_keys_wait_and_pass_on", run: func(w *world) {
		c := w.clients(2)
		for _, key := range oddKeys {
			held := w.acquire(c[0], w.request(key))
			waiter := w.standBehind(c[1], w.request(key))
			w.mustRelease(held)
			l := waiter.granted()
			w.mustRenew(l, w.long)
			w.mustBreak(c[0], l, driver.BreakNow)
			w.wantLost(l)
		}
	}},
	{name: "invalid_keys_are_refused", run: func(w *world) {
		for what, key := range map[string]string{
			"an empty key":                 "",
			"a key of 513 bytes":           strings.Repeat("k", driver.MaxKeyBytes+1),
			"a key of 513 bytes of UTF-8":  strings.Repeat("é", driver.MaxKeyBytes/2) + "k",
			"a key with a NUL":             "a\x00b",
			"a key with a line break":      "a\nb",
			"a key with a tab":             "\tb",
			"a key with DEL":               "a\x7f",
			"a key with a C1 control":      "a\u0085b",
			"a key that is not UTF-8":      "a\xffb",
			"a key with half a surrogate":  "a\xed\xa0\x80",
			"a key that ends within UTF-8": "a\xc3",
		} {
			_, err := w.try(w.client(), w.request(key))
			w.wantError("Acquire with "+what, err, driver.ErrInvalidKey)
			w.wantError("Acquire with "+what, err, driver.ErrInvalid)
		}
		if states := w.list(w.client(), ""); len(states) != 0 {
			w.Fatalf("refused keys are listed: %+v", states)
		}
	}},
	{name: "odd_owners_and_metadata_come_back_as_they_were", run: oddLabels},
}

// oddKeys are all valid and all different.
var oddKeys = []string{
	"k", "K", "k ", " k", "  k", " ", "k/", "/k", "//k", "k//", "/", "//", ".", "..", "./k", "../k", "k/..", "k/../k", "k/./k", "k/k",
	"k:k", "k::k", ":", "k;k", "k,k", "k=k", "k&k", "k?k", "k#k", "k%20k", "k k", "k+k", "%", "%%", "%2F", "%2f", "%00", "%s", "%d",
	"'", "''", `"`, `""`, "`", `\`, `\\`, `\n`, `k'--`, "'; DROP TABLE locks; --", "$1", "${k}", "$(k)", "k*", "*", "?", "[k]", "[", "]",
	"{k}", "{k}k", "k{k}", "{}", "{", "}", "}{", "{k", "k}", "{{k}}", "<k>", "k|k", "k@k", "~k", "~", "k!", "-k", "--", "_k", "__k", "null", "NULL", "0", "00",
	"true", "-1", "1e3", "key-0000000001", "n_0000000001",
	"\u00e4", "a\u0308", "\u00c4", "\u00e4 ", "ß", "ss", "SS", "\u0131", "i", "I", "\u0130", "\ufb01", "fi", "\u00c5", "\u212b", "A\u030a", "\u03a9", "\u2126", "\u00f1", "n\u0303", "中文", "日本語/キー", "עברית", "🔒", "👩‍👩‍👧‍👦",
	"\u00a0", "\u2028", "\u200b", "\ufeff", "\ufeffk", "\ufffd", "\U0010FFFF",
	strings.Repeat("k", driver.MaxKeyBytes), strings.Repeat("k", driver.MaxKeyBytes-1),
	strings.Repeat("k", driver.MaxKeyBytes-1) + "K", "K" + strings.Repeat("k", driver.MaxKeyBytes-1),
	strings.Repeat("é", driver.MaxKeyBytes/2), strings.Repeat("/", driver.MaxKeyBytes), strings.Repeat("🔒", driver.MaxKeyBytes/4),
	strings.Repeat("k/", 100) + "k", strings.Repeat("k", 255), strings.Repeat("k", 256),
}

// oddKeysDiffer holds all the odd keys at once.
func oddKeysDiffer(w *world) {
	c := w.clients(2)
	held := make(map[string]*lease)
	for _, key := range oddKeys {
		if held[key] != nil {
			w.Fatalf("the suite has the key %q twice", key)
		}
		l, err := w.try(c[0], w.request(key))
		if err != nil {
			w.Fatalf("Acquire of the free key %q while other keys are held: %v", key, err)
		}
		held[key] = l
	}
	listed := make(map[string]driver.LeaseID)
	for _, state := range w.list(c[1], "") {
		if len(state.Holders) != 1 {
			w.Fatalf("key %q has %d holders", state.Key, len(state.Holders))
		}
		listed[state.Key] = state.Holders[0].ID
	}
	for key, l := range held {
		if listed[key] != l.req.ID {
			w.Fatalf("key %q is listed with the lease %v; want %v", key, listed[key], l.req.ID)
		}
		if busy := w.wantBusy(c[1], w.request(key)); busy.Key != key || busy.Holders[0].ID != l.req.ID {
			w.Fatalf("key %q is refused as key %q, held by %v; want %v", key, busy.Key, busy.Holders[0].ID, l.req.ID)
		}
	}
	if len(listed) != len(held) {
		w.Fatalf("%d keys are held and %d are listed", len(held), len(listed))
	}
	for key, l := range held {
		if err := w.release(l); err != nil {
			w.Fatalf("Release of key %q: %v", key, err)
		}
	}
	if states := w.list(c[1], ""); len(states) != 0 {
		w.Fatalf("all keys were released and %d are listed", len(states))
	}
}

// oddLabels: owner and metadata may be any UTF-8, control characters too.
func oddLabels(w *world) {
	c := w.clients(2)
	odd := []string{
		"", " ", "plain", "line\nbreak", "\r\n", "tab\t", "nul\x00nul", "\x1b[31mred\x1b[0m", `back\slash`, `"quoted"`, "'", "{}", "%s", "é", "e\u0301", "🔒",
		"\u2028", "\ufeff", "<b>", "a=b&c=d", "null", "1", strings.Repeat("o", driver.MaxOwnerBytes), strings.Repeat("🔒", driver.MaxOwnerBytes/4),
	}
	all := make(map[string]string)
	for i, text := range odd {
		all[text] = odd[len(odd)-1-i]
	}
	big := map[string]string{"": strings.Repeat("m", driver.MaxMetadataBytes)}
	for i, text := range odd {
		metadata := all
		switch i % 3 {
		case 1:
			metadata = nil
		case 2:
			metadata = big
		}
		req := w.request("k")
		req.Owner, req.Metadata = text, metadata
		held := w.acquire(c[0], req)
		h := w.holder(held)
		if h.Owner != text {
			w.Fatalf("the owner %q is listed as %q", text, h.Owner)
		}
		if !maps.Equal(h.Metadata, metadata) {
			w.Fatalf("the metadata %q are listed as %q", metadata, h.Metadata)
		}
		waiting := w.request("k")
		waiting.Owner, waiting.Metadata = text, metadata
		waiter := w.standBehind(c[1], waiting)
		if state, _ := w.state(c[0], "k"); state.Waiters[0].Owner != text {
			w.Fatalf("the waiter %q is listed as %q", text, state.Waiters[0].Owner)
		}
		w.mustRelease(held)
		l := waiter.granted()
		if h := w.holder(l); h.Owner != text || !maps.Equal(h.Metadata, metadata) {
			w.Fatalf("the waiter %q with the metadata %q is listed as holder %q with %q", text, metadata, h.Owner, h.Metadata)
		}
		w.mustRelease(l)
	}
}
