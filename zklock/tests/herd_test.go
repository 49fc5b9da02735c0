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

// TestListsUnderWayAreFew: a list of a long line is long, and the renewals of all
// leases in the session stand behind those that were asked for before.
func TestListsUnderWayAreFew(t *testing.T) {
	t.Parallel()
	const waiters, most = 100, 32
	servers := []string{zktest.Start(t).Addr}
	path := root()
	holder := begin(t, openDriver(t, servers, path), long).granted()
	d, network := breakable(t, servers, path)
	first := begin(t, d, long)
	until(t, "the first one waits", func() bool { return len(children(t, servers, path+"/"+key)) == 2 })
	before := network.Count(zkproxy.Children)
	rule := network.HoldReply(zkproxy.Children, 1)
	won := make(chan *try, waiters+1)
	for n := range waiters + 1 {
		a := first
		if n > 0 {
			a = begin(t, d, long)
		}
		go func() {
			<-a.done
			won <- a
		}()
	}
	until(t, "as many ask as may", func() bool { return network.Count(zkproxy.Children)-before >= most })
	<-rule.Hit
	first.waits()
	if asked := network.Count(zkproxy.Children) - before; asked != most {
		t.Errorf("%d lists are under way at once, want %d", asked, most)
	}
	rule.Free()
	until(t, "all stand in line", func() bool { return len(children(t, servers, path+"/"+key)) == waiters+2 })
	holder.release()
	for range waiters + 1 {
		(<-won).granted().release()
	}
}
