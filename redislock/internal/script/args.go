package script

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// How says what an acquire does when the key is taken.
type How byte

// The ways to ask.
const (
	// Try refuses, with the names of the holders.
	Try How = 'n'
	// Queue stands in line.
	Queue How = 'q'
	// Probe leaves nothing behind, and answers [WouldQueue].
	Probe How = 'p'
)

// A Tomb says when a release keeps the id of its attempt for a minute, so that
// a late copy of the attempt's acquire is Lost instead of a new attempt.
type Tomb byte

// When a release leaves a tombstone.
const (
	// TombNever is for tests that compare with a machine that has none.
	TombNever Tomb = '0'
	// TombIfWithdrawn leaves one if the release withdraws a waiter.
	TombIfWithdrawn Tomb = 'w'
	// TombAlways leaves one: an acquire of the attempt was sent, and nobody
	// knows what became of it.
	TombAlways Tomb = '1'
)

// An Attempt is what an acquire asks for. Its Addr is where it listens for its
// grant, "s:" (a shard channel) or "p:" and the channel's name; "" for nowhere.
// NoWait does not count: How does.
type Attempt struct {
	lockqueue.Attempt
	How How
}

// begin is how the record of most who hold a lock begins. A script that finds it
// at hand need not put it together.
const begin = "stile1 hx "

// Opening is the first of an acquire's arguments, the only one that differs
// from those of another attempt that asks for the same.
func Opening(id driver.LeaseID) string {
	var text [len(begin) + 2*len(id) + 1]byte
	copy(text[:], begin)
	hex.Encode(text[len(begin):], id[:])
	text[len(text)-1] = ' '
	return string(text[:])
}

// AcquireArgs are the arguments of [Acquire]. The key's record is kept for
// retention after its last use.
func AcquireArgs(a *Attempt, retention time.Duration) []string {
	mode, plain := byte('x'), byte('0')
	switch {
	case a.Mode == driver.Shared:
		mode = 's'
	case a.Limit == 1 && a.Tokens == 1 && a.MinHold == 0:
		plain = '1'
	}
	addr := a.Addr
	if addr == "" {
		addr = "-"
	}
	// All in one piece of memory: this is half of what an acquire costs its client.
	text := make([]byte, 0, 200+len(addr)+len(a.Owner))
	var ends [5]int
	text = append(hex.AppendEncode(append(text, begin...), a.ID[:]), ' ')
	ends[0] = len(text)
	text = strconv.AppendInt(text, lifetime(a.TTL), 10)
	ends[1] = len(text)
	text = strconv.AppendInt(text, lifetime(a.TTL+lockqueue.FromDuration(retention)), 10)
	ends[2] = len(text)
	for _, n := range [...]int64{int64(a.TTL), int64(a.MinHold), int64(a.Tokens), 0, int64(a.Limit)} {
		text = append(strconv.AppendInt(text, n, 10), ' ')
	}
	text = append(append(text, addr...), ' ')
	text = appendTail(text, a.Owner, a.Metadata)
	ends[3] = len(text)
	text = append(text, plain, ' ', mode, ' ', byte(a.How), ' ')
	text = append(strconv.AppendInt(text, int64(a.WaiterTTL), 10), ' ')
	text = strconv.AppendInt(text, ceilMillis(lockqueue.FromDuration(retention)), 10)
	ends[4] = len(text)
	args, whole, from := make([]string, len(ends)), string(text), 0
	for i, to := range ends {
		args[i], from = whole[from:to], to
	}
	return args
}

// RenewArgs are the arguments of [Renew]. Token 0 stands for whatever token
// the lease has.
func RenewArgs(id driver.LeaseID, token uint64, ttl lockqueue.Micros, retention time.Duration) []string {
	return []string{id.String(), strconv.FormatUint(token, 10), micros(ttl), millis(retention)}
}

// ReleaseArgs are the arguments of [Release].
func ReleaseArgs(id driver.LeaseID, tomb Tomb, retention time.Duration) []string {
	return []string{Opening(id), string([]byte{byte(tomb), ' '}) + millis(retention)}
}

// BreakArgs are the arguments of [Break].
func BreakArgs(id driver.LeaseID, how driver.BreakHow, retention time.Duration) []string {
	gently := "g"
	if how == driver.BreakNow {
		gently = "n"
	}
	return []string{id.String(), gently, millis(retention)}
}

// SettleArgs are the arguments of [Settle].
func SettleArgs(retention time.Duration) []string { return []string{millis(retention)} }

// InspectArgs are the arguments of [Inspect].
func InspectArgs() []string { return []string{} }

// slack is how much longer keys live when the clock is set, in milliseconds.
const slack = 24 * 60 * 60 * 1000

// WithClock sets the time of one run of a script, in place of the server's. It
// is for tests. Redis itself expires keys a day later then, so that no real
// time takes part. A run with a clock answers more: see [SplitClocked].
func WithClock(s *Script, args []string, now lockqueue.Now) []string {
	args = append([]string(nil), args...)
	if s.Name == Acquire.Name {
		for _, i := range []int{1, 2} { // The two lifetimes.
			n, err := strconv.ParseInt(args[i], 10, 64)
			if err != nil {
				panic("script: " + err.Error()) // They are AcquireArgs' own.
			}
			args[i] = strconv.FormatInt(n+slack, 10)
		}
	}
	return append(args, micros(now.Lease)+" "+micros(now.Wall))
}

func micros(m lockqueue.Micros) string { return strconv.FormatInt(int64(m), 10) }

func millis(d time.Duration) string {
	return strconv.FormatInt(ceilMillis(lockqueue.FromDuration(d)), 10)
}

func ceilMillis(m lockqueue.Micros) int64 { return (int64(m) + 999) / 1000 }

// lifetime is how long a key of Redis lives that is needed for m, in
// milliseconds: never less, so that a record outlives what it says.
func lifetime(m lockqueue.Micros) int64 { return ceilMillis(m) + 1 }
