package script_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/redislock/internal/script"
)

const beginID = "stile1 hx " + hexID + " "

func TestArgs(t *testing.T) {
	plain := script.Attempt{How: script.Probe, Attempt: lockqueue.Attempt{ID: id(t), Limit: 1, TTL: 1_500_001, Tokens: 1, WaiterTTL: 15_000_000, Owner: "me"}}
	shared := plain
	shared.Mode, shared.How, shared.Addr, shared.Owner = driver.Shared, script.Queue, "s:c", ""
	block, least, permit := plain, plain, plain
	block.Tokens, least.MinHold, permit.Limit = 3, 4, 2
	const tail = `{"o":"me"}`
	for name, c := range map[string]struct{ got, want []string }{
		"plain":   {script.AcquireArgs(&plain, time.Hour), []string{beginID, "1502", "3601502", "1500001 0 1 0 1 - " + tail, "1 x p 15000000 3600000"}},
		"shared":  {script.AcquireArgs(&shared, 1), []string{beginID, "1502", "1502", "1500001 0 1 0 1 s:c ", "0 s q 15000000 1"}},
		"block":   {script.AcquireArgs(&block, time.Hour)[3:], []string{"1500001 0 3 0 1 - " + tail, "0 x p 15000000 3600000"}},
		"least":   {script.AcquireArgs(&least, time.Hour)[3:], []string{"1500001 4 1 0 1 - " + tail, "0 x p 15000000 3600000"}},
		"permit":  {script.AcquireArgs(&permit, time.Hour)[3:], []string{"1500001 0 1 0 2 - " + tail, "0 x p 15000000 3600000"}},
		"renew":   {script.RenewArgs(id(t), 9007199254740991, 5, time.Second), []string{hexID, "9007199254740991", "5", "1000"}},
		"release": {script.ReleaseArgs(id(t), script.TombIfWithdrawn, 1500*time.Microsecond), []string{beginID, "w 2"}},
		"always":  {script.ReleaseArgs(id(t), script.TombAlways, time.Second), []string{beginID, "1 1000"}},
		"gently":  {script.BreakArgs(id(t), driver.BreakGently, time.Second), []string{hexID, "g", "1000"}},
		"now":     {script.BreakArgs(id(t), driver.BreakNow, time.Second), []string{hexID, "n", "1000"}},
		"opening": {[]string{script.Opening(id(t))}, []string{beginID}},
		"settle":  {script.SettleArgs(time.Second), []string{"1000"}},
		"inspect": {script.InspectArgs(), []string{}},
		"clock":   {script.WithClock(&script.Renew, []string{"a"}, lockqueue.Now{Lease: 3, Wall: 4}), []string{"a", "3 4"}},
		"acquire by a clock": {
			script.WithClock(&script.Acquire, script.AcquireArgs(&plain, time.Hour), lockqueue.Now{Lease: 3, Wall: 4}),
			[]string{beginID, "86401502", "90001502", "1500001 0 1 0 1 - " + tail, "1 x p 15000000 3600000", "3 4"},
		},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: got %q\nwant %q", name, c.got, c.want)
		}
	}
}

func BenchmarkAcquireArgs(b *testing.B) {
	a := script.Attempt{How: script.Probe, Attempt: lockqueue.Attempt{ID: id(b), Limit: 1, TTL: 1_500_001, Tokens: 1, WaiterTTL: 15_000_000, Owner: "build-host-17/48213/stile"}}
	b.ReportAllocs()
	for b.Loop() {
		script.AcquireArgs(&a, time.Hour)
	}
}
