package zk

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile/zklock/internal/zktest"
)

// TestCanceledWatchesAreGone: at the server too.
func TestCanceledWatchesAreGone(t *testing.T) {
	t.Parallel()
	server := zktest.Start(t)
	s := openTest(t, Config{Servers: []string{server.Addr}})
	dir := root(t, s)
	watched := func() int {
		text, err := server.Ask("wchp")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(text, dir)
	}
	one, same, other := s.NewWatch(nil), s.NewWatch(nil), s.NewWatch(nil)
	must(t, s, &Get{Path: dir, Watch: one})
	must(t, s, &Get{Path: dir, Watch: same})
	_, _ = do(t, s, &Exists{Path: dir + "/x", Watch: other})
	if n := watched(); n != 2 {
		t.Fatalf("%d nodes are watched", n)
	}
	one.Cancel()
	other.Cancel()
	must(t, s, &Sync{Path: dir})
	if n := watched(); n != 1 {
		t.Fatalf("%d nodes are watched when two of three watches are gone", n)
	}
	must(t, s, &Set{Path: dir, Version: -1})
	hears(t, same, Changed)
	same.Cancel()
	one.Cancel()
	if len(s.watches) != 0 || len(s.setting) != 0 {
		t.Errorf("left: %v, %v", s.watches, s.setting)
	}
}

// TestWatchCanceledBeforeItIsSet: while its request is under way, and another
// request for the same node is behind it.
func TestWatchCanceledBeforeItIsSet(t *testing.T) {
	t.Parallel()
	server := zktest.Shared(t)
	s := openTest(t, Config{Servers: []string{server.Addr}})
	dir := root(t, s)
	for i := range 50 {
		path := fmt.Sprintf("%s/%d", dir, i)
		must(t, s, &Create{Path: path, ACL: anyone})
		gone, stays := s.NewWatch(nil), s.NewWatch(nil)
		first := s.Start(&Get{Path: path, Watch: gone})[0]
		if i%2 == 0 {
			gone.Cancel()
		}
		second := s.Start(&Get{Path: path, Watch: stays})[0]
		gone.Cancel()
		for _, c := range []*Call{first, second} {
			if _, err := c.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		must(t, s, &Delete{Path: path, Version: -1})
		hears(t, stays, Deleted)
	}
}

// TestManyWatchesMove: more than one request takes to set anew.
func TestManyWatchesMove(t *testing.T) {
	t.Parallel()
	server := zktest.Shared(t)
	g := newGate(t, server.Addr)
	s, other := openTest(t, Config{Servers: []string{g.addr}, Timeout: 20 * time.Second}), openTest(t, Config{Servers: []string{server.Addr}})
	dir := root(t, other) + "/" + strings.Repeat("x", 200)
	must(t, other, &Create{Path: dir, ACL: anyone})
	const n = 2000
	watches, calls := make([]*Watch, n), make([]*Call, n)
	for i := range n {
		watches[i] = s.NewWatch(nil)
		calls[i] = s.Start(&Exists{Path: fmt.Sprintf("%s/%d", dir, i), Watch: watches[i]})[0]
	}
	for _, c := range calls {
		<-c.Done()
	}
	g.set(cut)
	for i := range n {
		calls[i] = other.Start(&Create{Path: fmt.Sprintf("%s/%d", dir, i), ACL: anyone})[0]
	}
	for _, c := range calls {
		if _, err := c.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	g.set(opened)
	for _, w := range watches {
		hears(t, w, Created)
	}
}

// TestManyCallers: answers find their callers.
func TestManyCallers(t *testing.T) {
	t.Parallel()
	server := zktest.Shared(t)
	s := openTest(t, Config{Servers: []string{server.Addr}, Timeout: 20 * time.Second})
	dir := root(t, s)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for j := range 40 {
				path := fmt.Sprintf("%s/%d-%d", dir, i, j)
				calls := s.Start(&Create{Path: path, Data: []byte(path), ACL: anyone, Mode: Ephemeral}, &Get{Path: path}, &Delete{Path: path, Version: 0})
				for k, c := range calls {
					reply, err := c.Wait(t.Context())
					if err != nil || k == 0 && reply.Path != path || k == 1 && string(reply.Data) != path {
						t.Errorf("%s: %d: %+v, %v", path, k, reply, err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	if got := must(t, s, &Children{Path: dir}); len(got.Children) != 0 || got.Stat.NumChildren != 0 {
		t.Errorf("left: %v", got.Children)
	}
}
