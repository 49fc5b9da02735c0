package tests

import (
	"testing"

	"github.com/stilelock/stile/zklock/internal/zkproxy"
	"github.com/stilelock/stile/zklock/internal/zktest"
)

// TestNoHerd: of all waiters on one key, one hears of each hand-over. The benchmark
// has more of them.
func TestNoHerd(t *testing.T) {
	t.Parallel()
	const waiters, turns = 1000, 20
	servers := []string{zktest.Start(t).Addr}
	path := root()
	holder := begin(t, openDriver(t, servers, path), long).granted()
	d, network := breakable(t, servers, path)
	line := make(map[*try]bool, waiters)
	won := make(chan *try, waiters)
	for range waiters {
		a := begin(t, d, long)
		line[a] = true
		go func() {
			<-a.done
			won <- a
		}()
	}
	until(t, "all stand in line, and watch", func() bool {
		seen := network.Counts()
		return len(children(t, servers, path+"/"+key)) == waiters+1 && seen[zkproxy.Get]+seen[zkproxy.Exists] >= waiters
	})
	holder.release()
	before := network.Counts()
	for range turns {
		a := <-won
		if a.err != nil {
			t.Fatal(a.err)
		}
		a.release()
	}
	after := network.Counts()
	events, requests := after[zkproxy.Event]-before[zkproxy.Event], 0
	for op, n := range after {
		if op != zkproxy.Event && op != zkproxy.Ping {
			requests += n - before[op]
		}
	}
	t.Logf("%d hand-overs: %d events, %d requests", turns, events, requests)
	if events > 2*turns+2 {
		t.Errorf("%d events for %d hand-overs", events, turns)
	}
}
