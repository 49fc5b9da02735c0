package tests

import (
	"testing"

	"github.com/stilelock/stile/zklock/internal/zktest"
)

// TestLeaderKilledWhileHeldAndWhileWaiting: the servers choose another leader, and
// neither the lease nor the place in line is lost.
func TestLeaderKilledWhileHeldAndWhileWaiting(t *testing.T) {
	ensemble := zktest.StartEnsemble(t)
	path := root()
	leader, followers := ensemble.Leader(t)
	// One of them has the leader as its server, at first.
	d, other := openDriver(t, ensemble.Addrs(), path), openDriver(t, []string{leader.Addr, followers[0].Addr}, path)
	ours := begin(t, d, long).granted()
	next := begin(t, other, long)
	until(t, "the waiter stands in line", func() bool { return len(children(t, ensemble.Addrs(), path+"/"+key)) == 2 })
	last := begin(t, d, long)
	until(t, "the last one does", func() bool { return len(children(t, ensemble.Addrs(), path+"/"+key)) == 3 })
	if err := leader.Kill(); err != nil {
		t.Fatal(err)
	}
	if now, _ := ensemble.Leader(t); now == leader {
		t.Fatal("the leader was not killed")
	}
	if err := d.Renew(t.Context(), ours.hold(), long); err != nil {
		t.Errorf("the lease: %v", err)
	}
	next.waits()
	ours.release()
	next.granted()
	last.waits()
	next.release()
	last.granted().release()
	if first, second, third := ours.grant.Token, next.grant.Token, last.grant.Token; first >= second || second >= third {
		t.Errorf("tokens %d, %d, %d", first, second, third)
	}
	wantNothing(t, ensemble.Addrs(), path)
}
