package tests

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/redislock/internal/redistest"
	"github.com/stilelock/stile/redislock/internal/script"
)

// A tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// A lock is one key on a server, to be used by hand. Without a clock the
// server's own time counts.
type lock struct {
	t         tester
	wire      *wire
	scripts   scripts
	names     script.Keys
	retention time.Duration
	clock     *lockqueue.Now
}

func newLock(t testing.TB, w *wire, key string) *lock {
	t.Helper()
	names, err := script.KeysFor("lock:", key)
	if err != nil {
		t.Fatal(err)
	}
	return &lock{t: t, wire: w, scripts: theScripts(), names: names, retention: retention}
}

// startLock starts a server for a lock.
func startLock(t testing.TB) (*redistest.Server, *lock) {
	t.Helper()
	server := redistest.Start(t)
	l := newLock(t, connect(t, server), "k")
	l.wire.load(t, l.scripts.all()...)
	return server, l
}

// stop stops the lock's clock.
func (l *lock) stop() {
	l.clock = &lockqueue.Now{Lease: 1_000_000, Wall: 1_700_000_000_000_000}
}

func (l *lock) pass(d time.Duration) {
	l.clock.Lease += lockqueue.FromDuration(d)
	l.clock.Wall += lockqueue.FromDuration(d)
}

func attemptID(n int) (id driver.LeaseID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	id[15] = 1
	return id
}

// run runs a script and returns what it answers.
func (l *lock) run(s *script.Script, args []string) ([]any, error) {
	if l.clock != nil {
		args = script.WithClock(s, args, *l.clock)
	}
	answer, err := l.wire.do(call(s, l.names[:], args)...)
	if err != nil {
		return nil, err
	}
	if at, short := answer.(string); short {
		return []any{int64(script.Granted), at, at, at, at}, nil // Nobody here asks for its end.
	}
	if answer == int64(script.OK) {
		return []any{answer, "0"}, nil
	}
	values, ok := answer.([]any)
	if !ok {
		return nil, fmt.Errorf("answered %v", answer)
	}
	if l.clock != nil && s.Name != l.scripts.inspect.Name {
		values, _, _, err = script.SplitClocked(values)
	}
	return values, err
}

func (l *lock) reply(s *script.Script, args []string) script.Reply {
	l.t.Helper()
	values, err := l.run(s, args)
	if err != nil {
		l.t.Fatalf("%s: %v", s.Name, err)
	}
	reply, err := script.ParseReply(values)
	if err != nil {
		l.t.Fatalf("%s: %v", s.Name, err)
	}
	return reply
}

// attempt is an exclusive one for a minute, which nobody tells of its grant
// unless addr says where.
func attempt(n int, how script.How, addr string) *script.Attempt {
	return &script.Attempt{How: how, Attempt: lockqueue.Attempt{
		ID: attemptID(n), Limit: 1, Tokens: 1, TTL: 60_000_000, WaiterTTL: 60_000_000, Owner: "build-host-17/48213/stile", Addr: addr,
	}}
}

func (l *lock) acquire(a *script.Attempt) script.Reply {
	l.t.Helper()
	return l.reply(&l.scripts.acquire, script.AcquireArgs(a, l.retention))
}

func (l *lock) renew(n int, ttl time.Duration) script.Reply {
	l.t.Helper()
	return l.reply(&l.scripts.renew, script.RenewArgs(attemptID(n), 0, lockqueue.FromDuration(ttl), l.retention))
}

func (l *lock) release(n int, tomb script.Tomb) script.Reply {
	l.t.Helper()
	return l.reply(&l.scripts.release, script.ReleaseArgs(attemptID(n), tomb, l.retention))
}

func (l *lock) breakLease(n int) script.Reply {
	l.t.Helper()
	return l.reply(&l.scripts.breaks, script.BreakArgs(attemptID(n), driver.BreakNow, l.retention))
}

func (l *lock) settle() script.Reply {
	l.t.Helper()
	return l.reply(&l.scripts.settle, script.SettleArgs(l.retention))
}

func (l *lock) inspect() script.Inspection {
	l.t.Helper()
	values, err := l.run(&l.scripts.inspect, script.InspectArgs())
	if err != nil {
		l.t.Fatal(err)
	}
	i, err := script.ParseInspection(values)
	if err != nil {
		l.t.Fatal(err)
	}
	return i
}

// want fails the test unless the reply has that status.
func (l *lock) want(status script.Status, got script.Reply) script.Reply {
	l.t.Helper()
	if got.Status != status {
		l.t.Fatalf("status %d, want %d: %+v", got.Status, status, got)
	}
	return got
}

// present are the names that are there. All of them go by themselves one day.
func (l *lock) present() map[int]bool {
	l.t.Helper()
	return l.presentFrom(script.Lock)
}

// presentFrom leaves out the names before one, which are not ours now.
func (l *lock) presentFrom(first int) map[int]bool {
	l.t.Helper()
	there := map[int]bool{}
	for i, name := range l.names {
		if i < first {
			continue
		}
		switch left := l.wire.must(l.t, "PTTL", name).(int64); { //nolint:forcetypeassert // It answers a number.
		case left == -1:
			l.t.Errorf("%s stays for ever", name)
		case left >= 0:
			there[i] = true
		}
	}
	return there
}

// refused reports what the server refused with.
func refused(err error) string {
	var said redistest.Error
	if errors.As(err, &said) {
		return string(said)
	}
	return ""
}
