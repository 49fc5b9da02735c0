package sqlitelock

import (
	"testing"
	"time"
)

func TestBoottimeOffset(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"":                                    0,
		"monotonic           0         0\n":   0,
		"monotonic 5 0\nboottime 86400 7\n":   24*time.Hour + 7,
		"boottime          -10   999999999\n": -10*time.Second + 999999999,
		"7 1 0\n":                             time.Second,
		"boottime 1\n":                        0,
	} {
		if got, err := boottimeOffset(text); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"boottime x 0", "boottime 0 y"} {
		if got, err := boottimeOffset(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

// TestSystemClock: stores that are opened one after the other are on one clock.
func TestSystemClock(t *testing.T) {
	one, err := systemClock()
	if err != nil {
		t.Fatal(err)
	}
	two, err := systemClock()
	if err != nil {
		t.Fatal(err)
	}
	if one.boot() == "" || one.boot() != two.boot() {
		t.Errorf("boots %q and %q", one.boot(), two.boot())
	}
	if a, b := one.now(), two.now(); a.Lease <= 0 || b.Lease < a.Lease || b.Lease-a.Lease > 60_000_000 {
		t.Errorf("the clocks read %d and then %d", a.Lease, b.Lease)
	}
}
