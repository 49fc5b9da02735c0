package stile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stilelock/stile"
	_ "github.com/stilelock/stile/memlock"
)

func TestOpenByURL(t *testing.T) {
	locks, err := stile.Open(t.Context(), "MEM:shop?retention=5m")
	if err != nil {
		t.Fatal(err)
	}
	others, err := stile.Open(t.Context(), "mem:shop")
	if err != nil {
		t.Fatal(err)
	}
	lease, err := locks.Acquire(t.Context(), "orders/42", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := others.TryAcquire(t.Context(), "orders/42", nil); !errors.Is(err, stile.ErrBusy) {
		t.Errorf("another locker of the same store: %v, want busy", err)
	}
	if err := errors.Join(lease.Release(t.Context()), locks.Close(), others.Close()); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesWhatItDoesNotKnow(t *testing.T) {
	const secret = "hunter2"
	for name, test := range map[string]struct{ url, says string }{
		"unknown scheme":  {"consul://user:" + secret + "@host", "mem"},
		"no scheme":       {secret, "mem"},
		"empty":           {"", "mem"},
		"secret first":    {secret + "://host", "no driver"},
		"unknown key":     {"mem:a?colour=" + secret, `"colour"`},
		"key given twice": {"mem:a?retention=1s&retention=" + secret, "2 times"},
		"not a duration":  {"mem:a?retention=" + secret, "duration"},
		"malformed":       {"mem://user:" + secret + "@[::1", "malformed"},
		"bad escape":      {"mem:a?retention=%zz" + secret, "malformed"},
	} {
		_, err := stile.Open(t.Context(), test.url)
		if !errors.Is(err, stile.ErrInvalid) {
			t.Errorf("%s: %v, want invalid", name, err)
			continue
		}
		if !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %q does not say %q", name, err, test.says)
		}
		if strings.Contains(err.Error(), secret) && name != "secret first" && name != "no scheme" {
			t.Errorf("%s: the error repeats a secret: %v", name, err)
		}
	}
}
