package zk

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/locktest"
	"github.com/stilelock/stile/zklock/internal/zktest"
)

func TestRequests(t *testing.T) {
	locktest.CheckLeaks(t)
	server := zktest.Start(t)
	s := openTest(t, Config{Servers: []string{server.Addr}})
	dir := root(t, s)
	before := driver.SystemClock()
	calls := s.Start(&Create{Path: dir + "/x-", Data: []byte("me"), ACL: anyone, Mode: EphemeralSequential}, &Children{Path: dir})
	made, err := calls[0].Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if made.Path != dir+"/x-0000000000" || made.Stat.EphemeralOwner != s.ID() || made.Stat.Czxid != made.Zxid || made.Stat.Czxid == 0 {
		t.Errorf("made %+v", made)
	}
	if made.Sent < before || made.Sent > driver.SystemClock() || s.ProvenAt() < made.Sent {
		t.Errorf("sent at %v, proven at %v", made.Sent, s.ProvenAt())
	}
	listed, err := calls[1].Wait(t.Context())
	if err != nil || !slices.Equal(listed.Children, []string{"x-0000000000"}) {
		t.Errorf("listed %v, %v", listed, err)
	}
	if got := must(t, s, &Get{Path: made.Path}); string(got.Data) != "me" || got.Stat.DataLength != 2 {
		t.Errorf("got %+v", got)
	}
	if set := must(t, s, &Set{Path: made.Path, Data: []byte("you"), Version: 0}); set.Stat.Version != 1 {
		t.Errorf("set %+v", set)
	}
	if _, err := do(t, s, &Set{Path: made.Path, Data: nil, Version: 0}); !errors.Is(err, BadVersion) {
		t.Errorf("set of an old version: %v", err)
	}
	if _, err := do(t, s, &Delete{Path: dir, Version: -1}); !errors.Is(err, NotEmpty) {
		t.Errorf("delete of a folder that is not empty: %v", err)
	}
	must(t, s, &Sync{Path: dir})
	if checked := must(t, s, &Check{Path: made.Path, Version: 1}); checked.Sent != s.WrittenAt() {
		t.Errorf("checked at %v, written at %v", checked.Sent, s.WrittenAt())
	}
	must(t, s, &Check{Path: made.Path, Version: -1})
	if _, err := do(t, s, &Check{Path: made.Path, Version: 0}); !errors.Is(err, BadVersion) {
		t.Errorf("check of an old version: %v", err)
	}
	must(t, s, &Delete{Path: made.Path, Version: -1})
	if _, err := do(t, s, &Check{Path: made.Path, Version: -1}); !errors.Is(err, NoNode) {
		t.Errorf("check after delete: %v", err)
	}
	if _, err := do(t, s, &Exists{Path: made.Path}); !errors.Is(err, NoNode) {
		t.Errorf("exists after delete: %v", err)
	}
	must(t, s, &Create{Path: dir + "/container", ACL: anyone, Mode: Container})
	if _, err := do(t, s, &Create{Path: dir + "/container", ACL: anyone, Mode: Container}); !errors.Is(err, NodeExists) {
		t.Errorf("second create: %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := do(t, s, &Sync{Path: dir}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestCloseAndDropOfEphemerals(t *testing.T) {
	t.Parallel()
	server := zktest.Shared(t)
	watcher := openTest(t, Config{Servers: []string{server.Addr}})
	dir := root(t, watcher)
	for _, how := range []string{"close", "drop"} {
		s := openTest(t, Config{Servers: []string{server.Addr}, Timeout: time.Second})
		node := must(t, s, &Create{Path: dir + "/" + how, ACL: anyone, Mode: Ephemeral})
		w := watcher.NewWatch(nil)
		must(t, watcher, &Exists{Path: node.Path, Watch: w})
		begun := time.Now()
		if how == "close" {
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else {
			s.Drop()
		}
		hears(t, w, Deleted)
		if took := time.Since(begun); how == "close" && took > 900*time.Millisecond || how == "drop" && took < 500*time.Millisecond {
			t.Errorf("%s: the node was there for %v", how, took)
		}
	}
}

// TestSessionMoves: a connection breaks, and the session goes on over another
// one, with its nodes and watches; what happened meanwhile is heard.
func TestSessionMoves(t *testing.T) {
	t.Parallel()
	server := zktest.Shared(t)
	g := newGate(t, server.Addr)
	s, other := openTest(t, Config{Servers: []string{g.addr}, Timeout: 10 * time.Second}), openTest(t, Config{Servers: []string{server.Addr}})
	dir := root(t, other)
	mine := must(t, s, &Create{Path: dir + "/mine", ACL: anyone, Mode: Ephemeral})
	must(t, other, &Create{Path: dir + "/other", ACL: anyone})
	watches := map[EventType]*Watch{Deleted: s.NewWatch(nil), Changed: s.NewWatch(nil), Created: s.NewWatch(nil)}
	must(t, s, &Exists{Path: dir + "/other", Watch: watches[Deleted]})
	must(t, s, &Get{Path: mine.Path, Watch: watches[Changed]})
	if _, err := do(t, s, &Exists{Path: dir + "/new", Watch: watches[Created]}); !errors.Is(err, NoNode) {
		t.Fatal(err)
	}
	id := s.ID()
	g.set(cut)
	must(t, other, &Delete{Path: dir + "/other", Version: -1})
	must(t, other, &Set{Path: mine.Path, Data: []byte("x"), Version: -1})
	must(t, other, &Create{Path: dir + "/new", ACL: anyone})
	late := s.Start(&Sync{Path: dir}, &Exists{Path: mine.Path})
	g.set(opened)
	for event, w := range watches {
		hears(t, w, event)
	}
	if reply, err := late[1].Wait(t.Context()); err != nil || reply.Stat.EphemeralOwner != id || s.ID() != id {
		t.Errorf("%+v, %v: the session was %x and is %x", reply, err, id, s.ID())
	}
}

func TestUnknownAndNotSent(t *testing.T) {
	t.Parallel()
	server := zktest.Shared(t)
	g := newGate(t, server.Addr)
	s, other := openTest(t, Config{Servers: []string{g.addr}, Timeout: 10 * time.Second}), openTest(t, Config{Servers: []string{server.Addr}})
	dir := root(t, other)
	g.set(deafens)
	lost := s.Start(&Create{Path: dir + "/lost", ACL: anyone})[0]
	w := other.NewWatch(nil)
	if _, err := do(t, other, &Exists{Path: dir + "/lost", Watch: w}); errors.Is(err, NoNode) {
		hears(t, w, Created)
	}
	w.Cancel()
	g.set(cut)
	if _, err := lost.Wait(t.Context()); !errors.Is(err, ErrUnknown) {
		t.Errorf("a request whose answer was lost: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Start(&Create{Path: dir + "/never", ACL: anyone})[0].Wait(ctx); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a request without a connection: %v", err)
	}
	g.set(opened)
	must(t, s, &Sync{Path: dir})
	if _, err := do(t, s, &Exists{Path: dir + "/never"}); !errors.Is(err, NoNode) {
		t.Errorf("a request that was given up: %v", err)
	}
}

// TestExpiryIsLocal: a session that nobody answers is over after its timeout,
// whatever the network does.
func TestExpiryIsLocal(t *testing.T) {
	t.Parallel()
	server := zktest.Shared(t)
	for name, how := range map[string]how{"cut": cut, "black hole": swallows} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, server.Addr)
			const timeout = 900 * time.Millisecond
			s, other := openTest(t, Config{Servers: []string{g.addr}, Timeout: timeout}), openTest(t, Config{Servers: []string{server.Addr}})
			dir := root(t, other)
			mine := must(t, s, &Create{Path: dir + "/mine", ACL: anyone, Mode: Ephemeral})
			w, own := other.NewWatch(nil), s.NewWatch(nil)
			must(t, other, &Exists{Path: mine.Path, Watch: w})
			must(t, s, &Get{Path: mine.Path, Watch: own})
			g.set(how)
			within(t, "the end of the session", timeout+5*time.Second, s.Done())
			over := driver.SystemClock()
			if !errors.Is(s.Err(), ErrExpired) {
				t.Errorf("it is over because %v", s.Err())
			}
			if since := over.Sub(s.ProvenAt()); since < timeout {
				t.Errorf("it was over %v after its last proof", since)
			}
			hears(t, own, Over)
			hears(t, w, Deleted)
			if _, err := do(t, s, &Sync{Path: dir}); !errors.Is(err, ErrExpired) || !errors.Is(err, ErrNotSent) {
				t.Errorf("a request of a session that is over: %v", err)
			}
		})
	}
}

// TestSilentServers: a connection that goes silent is left for another in time,
// and one that does not greet costs no more than its part.
func TestSilentServers(t *testing.T) {
	t.Parallel()
	server := zktest.Shared(t)
	silent, good := newGate(t, server.Addr), newGate(t, server.Addr)
	good.set(cut)
	const timeout = 3 * time.Second
	s := openTest(t, Config{Servers: []string{silent.addr, good.addr}, Timeout: timeout})
	silent.set(swallows)
	good.set(opened)
	begun := time.Now()
	for { // A request that was under way when the silence was noticed is unknown.
		if _, err := do(t, s, &Sync{Path: "/"}); err == nil {
			break
		} else if !errors.Is(err, ErrUnknown) {
			t.Fatal(err)
		}
	}
	if took := time.Since(begun); took > timeout || s.Err() != nil {
		t.Errorf("after %v: %v", took, s.Err())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begun = time.Now()
	if _, err := Open(ctx, Config{Servers: []string{silent.addr}, Timeout: timeout}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent server at the start: %v", err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("its opening took %v", took)
	}
}

// TestOpenedWithoutAServer: nothing listens.
func TestOpenedWithoutAServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, Config{Servers: []string{"127.0.0.1:1"}, Timeout: time.Second}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err := Open(ctx, Config{}); err == nil {
		t.Error("without servers there is a session")
	}
}

// TestExpiredAtTheServer: the server has let the session go while it was away.
func TestExpiredAtTheServer(t *testing.T) {
	t.Parallel()
	server := zktest.Shared(t)
	g := newGate(t, server.Addr)
	s := openTest(t, Config{Servers: []string{g.addr}, Timeout: time.Minute})
	g.set(cut)
	id, password := s.Credentials()
	thief, err := Resume(t.Context(), Config{Servers: []string{server.Addr}, Timeout: time.Minute}, id, password)
	if err != nil {
		t.Fatal(err)
	}
	if err := thief.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.set(opened)
	within(t, "the end of a session that another has closed", patience, s.Done())
	if !errors.Is(s.Err(), ErrExpired) {
		t.Errorf("it is over because %v", s.Err())
	}
}

func TestAuth(t *testing.T) {
	t.Parallel()
	server := zktest.Shared(t)
	s := openTest(t, Config{Servers: []string{server.Addr}, Auth: []Auth{{"digest", []byte("me:secret")}}})
	dir := root(t, s)
	must(t, s, &Create{Path: dir + "/mine", ACL: []ACL{{31, "auth", ""}}})
	other := openTest(t, Config{Servers: []string{server.Addr}})
	if _, err := do(t, other, &Get{Path: dir + "/mine"}); !errors.Is(err, NoAuth) {
		t.Errorf("somebody else reads: %v", err)
	}
	must(t, s, &Get{Path: dir + "/mine"})
	if _, err := Open(t.Context(), Config{Servers: []string{server.Addr}, Timeout: time.Second, Auth: []Auth{{"nonsense", nil}}}); !errors.Is(err, AuthFailed) {
		t.Errorf("an unknown scheme: %v", err)
	}
}
