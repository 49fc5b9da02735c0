package redislock_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// TestSlotMigrationWhileHeldAndWaiting: a slot moves to another node, key by
// key, while its lock is held and others wait. The lease is renewed on the
// way, and the line is served in order.
func TestSlotMigrationWhileHeldAndWaiting(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	locks := openLocks(t, c.URL("prefix="+prefix))
	others := openLocks(t, c.URL("prefix="+prefix))
	slot, err := c.SlotOf(prefix + "k")
	check(t, "find the slot", err)
	first := acquire(t, locks, "k", &stile.Options{TTL: 6 * time.Second})
	last := first.Token()
	line := []*waiter{
		stand(t, others, "k", &stile.Options{TTL: 6 * time.Second}),
		stand(t, locks, "k", &stile.Options{TTL: 6 * time.Second}),
		stand(t, others, "k", &stile.Options{TTL: 6 * time.Second}),
	}
	m, err := c.Migration(slot)
	check(t, "prepare the move", err)

	check(t, "begin the move", m.Begin())
	// Some of the lock's keys are here and some there: nobody can do anything
	// with it, and nobody gives up.
	if n, err := m.Move(1); err != nil || n != 1 {
		t.Fatalf("move one key: %d, %v", n, err)
	}
	for _, w := range line {
		w.waits(t)
	}
	for {
		n, err := m.Move(100)
		check(t, "move keys", err)
		if n == 0 {
			break
		}
	}
	check(t, "finish the move", m.Finish())
	holds(t, first)
	release(t, first)
	for i, w := range line {
		lease := w.granted(t)
		if lease.Token() <= last {
			t.Errorf("token %d after token %d", lease.Token(), last)
		}
		last = lease.Token()
		if i+1 < len(line) {
			line[i+1].waits(t)
		}
		release(t, lease)
	}
	wantNothing(t, m.Target(), "k")
	if left := m.Source().Must(t, "CLUSTER", "COUNTKEYSINSLOT", strconv.Itoa(slot)); left != int64(0) {
		t.Errorf("%v keys of the slot are left at the node that it came from", left)
	}
}

// TestSlotMigrationBackAndForthUnderLoad: locks of a slot that never rests are
// taken in turn by all.
func TestSlotMigrationBackAndForthUnderLoad(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	slot, err := c.SlotOf(prefix + "k")
	check(t, "find the slot", err)
	l := startLoad(t, "k", 2, 4, func() *stile.Locker { return openLocks(t, c.URL("prefix="+prefix)) })
	for range 4 {
		m, err := c.Migration(slot)
		check(t, "prepare the move", err)
		check(t, "move the slot", m.Run())
		<-time.After(glance)
	}
	l.end(t)
	owner, err := c.Owner(slot)
	check(t, "find the owner", err)
	wantNothing(t, c.Nodes[owner], "k")
}
