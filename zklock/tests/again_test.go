package tests

import (
	"fmt"
	"maps"
	"path"
	"strings"
	"testing"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
	"github.com/stilelock/stile/zklock/internal/zkproxy"
)

// times takes the key so often, and gives it back.
func times(t *testing.T, d driver.Driver, n int) {
	t.Helper()
	for range n {
		begin(t, d, long).granted().release()
	}
}

// since counts the requests since an earlier look at the network.
func since(network *zkproxy.Network, before map[zkproxy.Op]int) map[zkproxy.Op]int {
	after := network.Counts()
	for op, n := range before {
		after[op] -= n
	}
	maps.DeleteFunc(after, func(op zkproxy.Op, n int) bool { return n == 0 || op == zkproxy.Ping })
	return after
}

// TestFreeAgainAndAgain: who takes the same free key a third time makes a node, and
// deletes it, and nothing else.
func TestFreeAgainAndAgain(t *testing.T) { onBoth(t, freeAgainAndAgain) }

func freeAgainAndAgain(t *testing.T, servers []string) {
	t.Helper()
	t.Parallel()
	w := newWorld(t, servers)
	times(t, w.ours, 2)
	before := w.network.Counts()
	times(t, w.ours, 5)
	if got, want := since(w.network, before), map[zkproxy.Op]int{zkproxy.Create: 5, zkproxy.Delete: 5}; !maps.Equal(got, want) {
		t.Errorf("five times took the requests %v, want %v", got, want)
	}
}

// TestOthersInBetween: what others do to a key is seen by who has found it free again
// and again.
func TestOthersInBetween(t *testing.T) { onBoth(t, othersInBetween) }

func othersInBetween(t *testing.T, servers []string) {
	t.Helper()
	t.Parallel()
	// Each returns who holds the key then, if anybody does.
	for name, others := range map[string]func(t *testing.T, w *world) *try{
		"nobody": func(*testing.T, *world) *try { return nil },
		"came and left": func(t *testing.T, w *world) *try {
			times(t, w.others, 1)
			return nil
		},
		"one holds": func(t *testing.T, w *world) *try { return begin(t, w.others, long).granted() },
		"a foreign node": func(t *testing.T, w *world) *try {
			s := direct(t, w.servers)
			acl := []zk.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}
			if _, err := s.Start(&zk.Create{Path: w.folder + "/" + driver.NewLeaseID().String(), ACL: acl, Mode: zk.Ephemeral})[0].Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			return nil
		},
		"another folder": anotherFolder,
		"another folder behind a cut": func(t *testing.T, w *world) *try {
			w.network.Cut()
			holder := anotherFolder(t, w)
			w.network.Heal()
			return holder
		},
		"another folder while ours is told late": func(t *testing.T, w *world) *try {
			w.network.Drop() // The next request goes over another connection.
			return anotherFolder(t, w)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, servers)
			for range 2 {
				times(t, w.ours, 3)
				holder := others(t, w)
				ours := begin(t, w.ours, long)
				if holder != nil {
					ours.waits()
					holder.release()
				}
				ours.granted().release()
			}
		})
	}
}

// A world is a key of ours and of others.
type world struct {
	servers      []string
	folder       string
	network      *zkproxy.Network // ours
	ours, others driver.Driver
}

func newWorld(t *testing.T, servers []string) *world {
	t.Helper()
	path := root()
	makeFolder(t, servers, path) // Else the servers may delete it at any time.
	w := &world{servers: servers, folder: path + "/" + key, others: openDriver(t, servers, path)}
	w.ours, w.network = breakable(t, servers, path)
	return w
}

// last is the number that the last node in the folder had.
func (w *world) last(t *testing.T) int {
	t.Helper()
	s := direct(t, w.servers)
	calls := s.Start(&zk.Sync{Path: w.folder}, &zk.Exists{Path: w.folder})
	reply, err := calls[1].Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// It counts what was made and what was deleted, and all that was made has gone.
	return int(reply.Stat.Cversion)/2 - 1
}

// anotherFolder deletes the folder, and makes it anew up to the number that our last
// node had. Who has that one holds: the next one gets the number after it.
func anotherFolder(t *testing.T, w *world) *try {
	t.Helper()
	last := w.last(t)
	acl := []zk.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}
	for _, call := range direct(t, w.servers).Start(&zk.Delete{Path: w.folder, Version: -1}, &zk.Create{Path: w.folder, ACL: acl, Mode: zk.Persistent}) {
		if _, err := call.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	times(t, w.others, last)
	holder := begin(t, w.others, long).granted()
	nodes := children(t, w.servers, w.folder)
	if len(nodes) != 1 || !strings.HasSuffix(nodes[0], fmt.Sprintf("-%010d", last)) {
		t.Fatalf("the folder has %v, want the one number %d", nodes, last)
	}
	return holder
}

// TestLostAnswersAtAFreeKey: an answer is lost of a create behind which nothing was
// listed, or of the delete before it.
func TestLostAnswersAtAFreeKey(t *testing.T) { onBoth(t, lostAnswersAtAFreeKey) }

func lostAnswersAtAFreeKey(t *testing.T, servers []string) {
	t.Helper()
	t.Parallel()
	for _, op := range []zkproxy.Op{zkproxy.Create, zkproxy.Delete} {
		w := newWorld(t, servers)
		times(t, w.ours, 3)
		rule := w.network.LoseReplyTo(op, 1)
		ours := begin(t, w.ours, long).granted()
		if op == zkproxy.Delete {
			ours.release()
			ours = begin(t, w.ours, long).granted()
		}
		<-rule.Hit
		if nodes := children(t, servers, w.folder); len(nodes) != 1 {
			t.Errorf("nodes: %v", nodes)
		}
		next := begin(t, w.others, long)
		next.waits()
		ours.release()
		next.granted().release()
		times(t, w.ours, 3)
	}
}

// TestNextOfALongHolderDoesNotList: who stands behind one that has held for a while
// knows that nobody else is left before it.
func TestNextOfALongHolderDoesNotList(t *testing.T) { onBoth(t, nextOfALongHolderDoesNotList) }

func nextOfALongHolderDoesNotList(t *testing.T, servers []string) {
	t.Helper()
	t.Parallel()
	w := newWorld(t, servers)
	first := begin(t, w.others, long).granted()
	second := begin(t, w.others, long)
	until(t, "the second stands in line", func() bool { return standing(t, servers, path.Dir(w.folder)) == 2 })
	third := begin(t, w.ours, long)
	until(t, "the third stands in line", func() bool { return standing(t, servers, path.Dir(w.folder)) == 3 })
	first.release()
	second.granted()
	// The second tells that it holds; the third hears it, looks, and watches itself.
	until(t, "the third knows", func() bool { return w.network.Count(zkproxy.Event) >= 1 && w.network.Count(zkproxy.Get) >= 3 })
	third.waits()
	before := w.network.Counts()
	second.release()
	third.granted()
	if got := since(w.network, before); got[zkproxy.Children] > 0 {
		t.Errorf("it took the requests %v to be granted", got)
	}
	third.release()
	wantNothing(t, servers, path.Dir(w.folder))
}
