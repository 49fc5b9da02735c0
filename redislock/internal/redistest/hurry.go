package redistest

import (
	"testing"
	"time"
)

// tries is how often Hurry makes an attempt.
const tries = 6

// Hurry runs an attempt that has to do something within a TTL. When this process
// stood still for a good part of it meanwhile, a failure shows nothing, and the
// attempt is made again with twice the TTL. Any other failure ends the test.
func Hurry(t testing.TB, ttl time.Duration, attempt func(ttl time.Duration) error) {
	t.Helper()
	for range tries {
		stood := pulse()
		err := attempt(ttl)
		still := stood()
		switch {
		case err == nil:
			return
		case still < ttl/10:
			t.Fatal(err)
		}
		t.Logf("this process stood still for %v, within a TTL of %v: %v", still, ttl, err)
		ttl *= 2
	}
	t.Fatal("this machine stands still too often: the test shows nothing")
}

// pulse feels until stood is called for how long this process stands still at most.
func pulse() (stood func() time.Duration) {
	const beat = 10 * time.Millisecond
	stop, longest := make(chan struct{}), make(chan time.Duration)
	go func() {
		var most time.Duration
		for last := time.Now(); ; {
			select {
			case <-stop:
				longest <- most
				return
			case <-time.After(beat):
			}
			now := time.Now()
			most = max(most, now.Sub(last)-beat)
			last = now
		}
	}()
	return func() time.Duration {
		close(stop)
		return <-longest
	}
}
