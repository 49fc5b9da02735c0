package locktest

import (
	"context"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

// Defaults of a Harness.
const (
	defaultTTL   = 300 * time.Millisecond
	defaultSlack = 10 * time.Second
)

// A Hook is something that only the harness can do to a store, not a driver.
// All hooks are optional, but a missing one needs a reason.
type Hook string

const (
	// HookRestart: Store.Restart.
	HookRestart Hook = "restart"
	// HookForget: Store.Forget.
	HookForget Hook = "forget"
	// HookNetwork: Store.Network.
	HookNetwork Hook = "network"
	// HookSession: Store.KillSession.
	HookSession Hook = "session"
)

// A Harness tells the suite how to make stores of one kind, and how fast they
// are.
type Harness struct {
	// New makes a fresh, empty store for one case: a new file, a new database,
	// a new prefix of a server that all cases share. It is called many times,
	// from several goroutines at once, and leaves its cleaning up to
	// t.Cleanup. It fails the test with t.Fatal.
	//
	// The case is going to use the hooks in uses: a harness may share one
	// server among most cases and start a server of its own for
	// a case that restarts it.
	New func(t testing.TB, uses []Hook) Store

	// Without says why the stores do not have a hook. A hook that is nil in
	// Store and not in Without fails its cases, and so does the contrary.
	Without map[Hook]string

	// TTL is a short TTL that the store can handle well. Cases wait for it to
	// run out, so it decides how long the suite takes. Default: 300 ms, or the
	// driver's Capabilities.MinTTL if that is longer.
	TTL time.Duration

	// Slack is how long the driver and the store may take, on a busy machine,
	// for what they do at once: a command, a hand-over to a waiter. Only a
	// case that fails waits for it. Default: 10 s.
	Slack time.Duration

	// DeadWaiter is how long a waiter whose process was killed may hold up
	// those behind it. Slack is added to it. Default: the TTL that the dead
	// waiter asked for.
	DeadWaiter time.Duration

	// Goroutines are parts of the stack traces of goroutines that may stay
	// when all clients are closed, because a library starts them once for the
	// process. See [CheckLeaks].
	Goroutines []string
}

// A Store is one fresh store and what can be done to it.
type Store struct {
	// Open opens a client of the store. It is called several times for one
	// store; each client is on its own, as if it were in another process, and
	// is closed by the suite. Required.
	Open func(ctx context.Context) (driver.Driver, error)

	// URL is what another process opens the store by: it is handed to the
	// function that was given to [Child]. Required.
	URL string

	// Restart stops the store and starts it again on its data, as after a
	// crash. Clients stay open.
	Restart func(ctx context.Context) error

	// Forget drops the record of a key that is idle, as the store would once
	// its retention time is over.
	Forget func(ctx context.Context, key string) error

	// Network opens a client like Open, whose connection to the store the
	// case can break. [Proxy] does this for stores that are reached by TCP.
	Network func(ctx context.Context) (driver.Driver, Network, error)

	// KillSession makes the store end what it knows of a client that Open
	// returned: its session, its connections.
	KillSession func(ctx context.Context, client driver.Driver) error
}

// A Network is the way from one client to its store. Its methods return when
// they have taken effect. They may be called from any goroutine.
type Network interface {
	// Cut ends all connections and refuses new ones until Heal.
	Cut()
	// BlackHole leaves connections as they are, and lets new ones open, but
	// whatever is sent in either direction is lost, without a sign of it until
	// Heal.
	BlackHole()
	// LoseReply lets the next command through to the store and loses the
	// answer; the connection ends with it.
	LoseReply()
	// Heal lets everything through again. What was lost stays lost, and a
	// connection that lost something has ended.
	Heal()
}

// has reports whether the store has a hook.
func (s *Store) has(hook Hook) bool {
	switch hook {
	case HookRestart:
		return s.Restart != nil
	case HookForget:
		return s.Forget != nil
	case HookNetwork:
		return s.Network != nil
	case HookSession:
		return s.KillSession != nil
	default:
		return false
	}
}

// missing returns the first hook that a case uses and the store does not have,
// with the harness's reason.
func (h *Harness) missing(t testing.TB, s *Store, uses []Hook) (hook Hook, reason string, missing bool) {
	t.Helper()
	for _, hook := range uses {
		reason, without := h.Without[hook]
		switch has := s.has(hook); {
		case has && without:
			t.Fatalf("the store has the hook %s that Harness.Without says it has not", hook)
		case !has && (!without || reason == ""):
			t.Fatalf("the store has no hook %s: fill it in Store, or say in Harness.Without why it cannot", hook)
		case !has:
			return hook, reason, true
		}
	}
	return "", "", false
}
