package driver_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

func TestCheckKey(t *testing.T) {
	for _, key := range []string{
		"a", "orders/42", " ", "/", "//", "..", "a b", "ключ", "鍵", "🔑", `"`, "'; drop table locks; --", "%s%n", "{tag}", "*", "e\u0301", "\u00e9",
		"A", strings.Repeat("k", driver.MaxKeyBytes), strings.Repeat("é", driver.MaxKeyBytes/2), "\u200b", "\ufffd",
	} {
		if err := driver.CheckKey(key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	for key, says := range map[string]string{
		"": "empty",
		strings.Repeat("k", driver.MaxKeyBytes+1):   "513 bytes, at most 512",
		strings.Repeat("é", driver.MaxKeyBytes/2+1): "514 bytes",
		"a\xff": "UTF-8", "\xc0\x80": "UTF-8", "\xed\xa0\x80": "UTF-8",
		"a\x00": "control character U+0000 at byte 1", "é\n": "U+000A at byte 2", "\t": "U+0009",
		"\x7f": "U+007F", "\u0085": "U+0085", "a\x1b[2J": "U+001B",
	} {
		err := driver.CheckKey(key)
		if !errors.Is(err, driver.ErrInvalidKey) || !errors.Is(err, driver.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", key, err, says)
		}
	}
}

func goodRequest() driver.Request {
	return driver.Request{
		Key: "k", ID: driver.NewLeaseID(), Limit: 1, TTL: time.Second, Tokens: 1, Owner: "me",
		Metadata: map[string]string{"a": "b"}, Now: driver.SystemClock,
	}
}

func TestCheckRequest(t *testing.T) {
	for name, change := range map[string]func(*driver.Request){
		"as it is":        func(*driver.Request) {},
		"shortest TTL":    func(r *driver.Request) { r.TTL = 1 },
		"longest times":   func(r *driver.Request) { r.TTL, r.MinHold = driver.MaxTTL, driver.MaxTTL },
		"shared":          func(r *driver.Request) { r.Mode = driver.Shared },
		"largest numbers": func(r *driver.Request) { r.Limit, r.Tokens = driver.MaxLimit, driver.MaxTokens },
		"no owner":        func(r *driver.Request) { r.Owner = "" },
		"longest owner":   func(r *driver.Request) { r.Owner = strings.Repeat("o", driver.MaxOwnerBytes) },
		"no metadata":     func(r *driver.Request) { r.Metadata = nil },
		"most metadata": func(r *driver.Request) {
			r.Metadata = map[string]string{"a": strings.Repeat("m", driver.MaxMetadataBytes-1)}
		},
	} {
		r := goodRequest()
		change(&r)
		if err := r.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for says, change := range map[string]func(*driver.Request){
		"invalid key":                       func(r *driver.Request) { r.Key = "" },
		"attempt id":                        func(r *driver.Request) { r.ID = driver.LeaseID{} },
		"no mode 2":                         func(r *driver.Request) { r.Mode = 2 },
		"want 1 to 1048576, got 0":          func(r *driver.Request) { r.Limit = 0 },
		"want 1 to 1048576, got 1048577":    func(r *driver.Request) { r.Limit = driver.MaxLimit + 1 },
		"a shared hold has no limit of 2":   func(r *driver.Request) { r.Mode, r.Limit = driver.Shared, 2 },
		"check ttl":                         func(r *driver.Request) { r.TTL = 0 },
		"got -1s":                           func(r *driver.Request) { r.TTL = -time.Second },
		"at most 720h0m0s, got 720h0m0.00":  func(r *driver.Request) { r.TTL = driver.MaxTTL + time.Microsecond },
		"check minimum hold":                func(r *driver.Request) { r.MinHold = -1 },
		"want 0 to 720h0m0s":                func(r *driver.Request) { r.MinHold = driver.MaxTTL + 1 },
		"check tokens":                      func(r *driver.Request) { r.Tokens = 0 },
		"got 1048577":                       func(r *driver.Request) { r.Tokens = driver.MaxTokens + 1 },
		"check owner":                       func(r *driver.Request) { r.Owner = strings.Repeat("o", driver.MaxOwnerBytes+1) },
		"check owner: invalid argument: it": func(r *driver.Request) { r.Owner = "\xff" },
		"check metadata": func(r *driver.Request) {
			r.Metadata = map[string]string{"a": strings.Repeat("m", driver.MaxMetadataBytes)}
		},
		"not valid UTF-8":                   func(r *driver.Request) { r.Metadata = map[string]string{"a": "\xff"} },
		"metadata: invalid argument: it is": func(r *driver.Request) { r.Metadata = map[string]string{"\xff": "a"} },
	} {
		r := goodRequest()
		change(&r)
		if err := r.Check(); !errors.Is(err, driver.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	c := driver.Capabilities{Lacks: map[driver.Capability]string{driver.CapShared: "it cannot"}}
	if c.Has(driver.CapShared) || !c.Has(driver.CapLimit) || !(driver.Capabilities{}).Has(driver.CapShared) {
		t.Error("a store has what it does not lack")
	}
}

func TestClockRunsForward(t *testing.T) {
	before := driver.SystemClock()
	for range 1000 {
		now := driver.SystemClock()
		if now.Sub(before) < 0 {
			t.Fatal("the clock went back")
		}
		before = now
	}
	if got := before.Add(time.Second).Sub(before); got != time.Second {
		t.Errorf("one second later is %v later", got)
	}
}
