package script_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/redistest"
	"github.com/stilelock/stile/redislock/internal/script"
)

// oddKeys are keys with braces and other trouble, in every form that there is.
var oddKeys = []string{
	"a", "orders/42", " ", "ключ", "🔑", "a b", "%s", "*", "[x]?", `\`, `"`, "lock:", "stile:state:", "stile:state", "stile:state:x",
	"{", "}", "{}", "}{", "{{", "}}", "{{}}", "{}{}", "{a", "a}", "a{", "}a", "{a}", "{a}b", "b{a}", "b{a}c", "a{}b", "a{}", "{}a",
	"a}b", "a}b{c", "a}b{c}", "a}b{c}d", "a{b{c}d", "a{b{c}d}e", "{{a}}", "a{b}c{d}e", "{}{a}", "a{}b{c}", "{ }", "{%}", "{é}é", "a{b}}", "{{}", "{}}",
	"x{stile:line:{a}}", "stile:line:}{", strings.Repeat("k", driver.MaxKeyBytes), strings.Repeat("{", driver.MaxKeyBytes), strings.Repeat("}", driver.MaxKeyBytes),
}

var prefixes = []string{"lock:", "", "{app}:", "a{", "}", "stile:", "lock:{}"}

func TestKeysComeBackFromTheirNames(t *testing.T) {
	seen := map[string]string{}
	for _, prefix := range prefixes {
		clear(seen)
		for _, key := range oddKeys {
			names, err := script.KeysFor(prefix, key)
			if err != nil {
				t.Fatalf("%q %q: %v", prefix, key, err)
			}
			if names[script.Lock] != prefix+key {
				t.Errorf("%q %q: the lock is called %q", prefix, key, names[script.Lock])
			}
			slot := script.Slot(names[script.Lock])
			for _, name := range names {
				if other, taken := seen[name]; taken {
					t.Errorf("%q is a name of %q and of %q", name, other, key)
				}
				seen[name] = key
				if got, ok := script.KeyOf(prefix, name); !ok || got != key {
					t.Errorf("%q is read back from %q as %q, %v; want %q", prefix, name, got, ok, key)
				}
				if got := script.Slot(name); got != slot {
					t.Errorf("%q is in slot %d, and %q in %d", name, got, names[script.Lock], slot)
				}
			}
			if tag := names.Tag(); tag == "" || strings.Contains(tag, "}") || script.Slot("x{"+tag+"}y") != slot {
				t.Errorf("%q: the tag %q is in slot %d, not %d", names[script.Lock], tag, script.Slot("x{"+tag+"}y"), slot)
			}
			if plain := !strings.ContainsAny(prefix+key, "{}"); plain && names[script.Line] != "stile:line:{"+prefix+key+"}" {
				t.Errorf("the line of %q is called %q", prefix+key, names[script.Line])
			}
		}
	}
}

func TestNamesThatAreNoneOfOurs(t *testing.T) {
	for _, c := range [][2]string{
		{"lock:", ""},
		{"lock:", "lock:"},
		{"lock:", "lock"},
		{"lock:", "other:a"},
		{"lock:", "stile:line:{lock:}"},
		{"lock:", "stile:line:{other:a}"},
		{"lock:", "stile:line:{lock:a"},
		{"lock:", "stile:line:"},
		{"lock:", "stile:wake:{lock:a}"},
		{"lock:", "stile:line:{t}lock:a"},
		{"lock:", "stile:line:{b}lock:a{c}"},
		{"lock:", "stile:line:{}"},
		{"lock:", "stile:line:{a{b}"},
		{"", "stile:line:{}"},
		{"", ""},
		{"", "stile:state:{stile:line:{a}}"},
		{"", "stile:line:{0}a}b"},
	} {
		if key, ok := script.KeyOf(c[0], c[1]); ok {
			t.Errorf("prefix %q: %q is about %q", c[0], c[1], key)
		}
	}
}

func TestOurOwnNamesAreRefused(t *testing.T) {
	for _, c := range [][2]string{
		{"", "stile:state:{a}"}, {"", "stile:line:{"}, {"stile:", "held:{x"}, {"stile:due:{", "x"}, {"", "stile:entries:{}"}, {"s", "tile:gone:{a}"}, {"", ""},
	} {
		if _, err := script.KeysFor(c[0], c[1]); !errors.Is(err, driver.ErrInvalidKey) {
			t.Errorf("%q %q: %v", c[0], c[1], err)
		}
	}
}

// TestSlotsAreThoseOfRedis asks a server for the slots of all names.
func TestSlotsAreThoseOfRedis(t *testing.T) {
	server := redistest.Start(t, redistest.Config("cluster-enabled", "yes"))
	conn, err := server.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	check := func(name string) {
		t.Helper()
		slot, err := conn.Do("CLUSTER", "KEYSLOT", name)
		if err != nil {
			t.Fatal(err)
		}
		if slot != int64(script.Slot(name)) {
			t.Errorf("%q is in slot %v, not %d", name, slot, script.Slot(name))
		}
	}
	for i := range 1000 {
		check(strconv.Itoa(i))
	}
	for _, prefix := range prefixes {
		for _, key := range oddKeys {
			names, err := script.KeysFor(prefix, key)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				check(name)
			}
		}
	}
}

// FuzzKeys: whatever the prefix and the key, all names share a slot and lead
// back to the key.
func FuzzKeys(f *testing.F) {
	for _, prefix := range prefixes {
		for _, key := range oddKeys {
			f.Add(prefix, key)
		}
	}
	f.Fuzz(func(t *testing.T, prefix, key string) {
		if _, ok := script.KeyOf(prefix, key); ok && !strings.HasPrefix(key, prefix) && !strings.HasPrefix(key, "stile:") {
			t.Errorf("%q is a name of a lock under %q", key, prefix)
		}
		names, err := script.KeysFor(prefix, key)
		if err != nil {
			if !errors.Is(err, driver.ErrInvalidKey) || key != "" && !strings.HasPrefix(prefix+key, "stile:") {
				t.Fatal(err)
			}
			return
		}
		if key == "" {
			return // Refused where requests are checked.
		}
		for _, name := range names {
			if got, ok := script.KeyOf(prefix, name); !ok || got != key || script.Slot(name) != script.Slot(names[script.Lock]) {
				t.Errorf("%q is of key %q (%v), in slot %d of %d", name, got, ok, script.Slot(name), script.Slot(names[script.Lock]))
			}
		}
	})
}

func BenchmarkKeysFor(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := script.KeysFor("lock:", "orders/42"); err != nil {
			b.Fatal(err)
		}
	}
}
