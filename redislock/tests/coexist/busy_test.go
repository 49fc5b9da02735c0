package coexist

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

const (
	prefix = "lock:"
	key    = prefix + "orders/42"
	name   = "orders/42" // the same to stile
)

// A foreign holder shows as busy, with until when, and without its secret.
func TestForeignHolderIsBusy(t *testing.T) {
	server := redistest.Start(t)
	locks := open(t, server, prefix)
	for _, u := range foreignUsers(t, server, time.Millisecond) {
		t.Run(u.name, func(t *testing.T) {
			before := time.Now()
			unlock, err := u.try(t.Context(), key, 30*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			secret, _ := server.Must(t, "GET", key).(string)
			_, err = locks.TryAcquire(t.Context(), name, nil)
			var busy *stile.BusyError
			if !errors.As(err, &busy) || len(busy.Holders) != 1 {
				t.Fatalf("got %v, want one holder", err)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q has the secret of the holder", err)
			}
			isForeign(t, busy.Holders[0], before.Add(30*time.Second))
			state, err := locks.Get(t.Context(), name)
			if err != nil || len(state.Holders) != 1 || len(state.Waiters) != 0 {
				t.Fatalf("got %+v, %v, want one holder", state, err)
			}
			isForeign(t, state.Holders[0], before.Add(30*time.Second))
			if err := unlock(t.Context()); err != nil {
				t.Error(err)
			}
			lease, err := locks.TryAcquire(t.Context(), name, nil)
			if err != nil {
				t.Fatalf("free again, but: %v", err)
			}
			if err := lease.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// isForeign checks what is shown of a holder whose key expires at a time, or
// never.
func isForeign(t *testing.T, h stile.Holder, expires time.Time) {
	t.Helper()
	if h.Owner != foreignOwner || !h.ID.IsZero() || h.Token != 0 || !h.Since.IsZero() {
		t.Errorf("got %+v, want a holder of whom only the end is known", h)
	}
	if off := h.Expires.Sub(expires); h.Expires.IsZero() != expires.IsZero() || off.Abs() > 2*time.Second {
		t.Errorf("it expires at %v, want about %v", h.Expires, expires)
	}
}

// While stile holds a key in whatever way, nobody else gets it, and their
// release takes nothing away.
func TestStileKeepsOthersOut(t *testing.T) {
	server := redistest.Start(t)
	locks := open(t, server, prefix)
	others := foreignUsers(t, server, time.Millisecond)
	for how, opts := range map[string]*stile.Options{
		"exclusive": nil, "shared": {Shared: true}, "semaphore": {Limit: 3}, "minimum hold": {MinHold: time.Second},
	} {
		t.Run(how, func(t *testing.T) {
			lease, err := locks.TryAcquire(t.Context(), name, opts)
			if err != nil {
				t.Fatal(err)
			}
			if pttl, _ := server.Must(t, "PTTL", key).(int64); pttl <= 0 || pttl > (16*time.Second).Milliseconds() {
				t.Errorf("the key lives %d ms, want the lease's 15 s", pttl)
			}
			for _, u := range others {
				if _, err := u.try(t.Context(), key, time.Minute); !errors.Is(err, errTaken) {
					t.Errorf("%s: %v, want taken", u.name, err)
				}
			}
			stolen, err := compareAndDelete.Run(t.Context(), connect(t, server), []string{key}, "not what is there").Int()
			if err != nil || stolen != 0 {
				t.Errorf("compare and delete: %d, %v", stolen, err)
			}
			if err := lease.Release(t.Context()); err != nil {
				t.Errorf("release: %v", err)
			}
			for _, u := range others {
				ctx := t.Context()
				unlock, err := u.lock(ctx, key, time.Minute) // It waits for the end of the minimum hold.
				if err != nil {
					t.Fatalf("%s: %v", u.name, err)
				}
				if err := unlock(ctx); err != nil {
					t.Errorf("%s: %v", u.name, err)
				}
			}
		})
	}
}

// The key of a holder without a TTL is busy until somebody deletes it.
func TestForeignHolderWithoutTTL(t *testing.T) {
	server := redistest.Start(t)
	locks := open(t, server, prefix)
	server.Must(t, "SET", key, "for ever")
	_, err := locks.TryAcquire(t.Context(), name, nil)
	var busy *stile.BusyError
	if !errors.As(err, &busy) || len(busy.Holders) != 1 {
		t.Fatalf("got %v, want one holder", err)
	}
	isForeign(t, busy.Holders[0], time.Time{})
	if want := `key "orders/42" is busy: held by ` + foreignOwner; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %q, want %q at its end", err, want)
	}
	granted := waitFor(t, locks)
	server.Must(t, "DEL", key)
	granted(t, time.Second)
}
