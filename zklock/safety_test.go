package zklock

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
	"github.com/stilelock/stile/zklock/internal/zktest"
)

func newTest(t *testing.T, servers ...string) *Driver {
	t.Helper()
	d, err := New(servers, &Options{Root: root(), Tick: zktest.Tick})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func testRequest(ttl time.Duration) driver.Request {
	return driver.Request{Key: "k", ID: driver.NewLeaseID(), Limit: 1, TTL: ttl, Tokens: 1, Owner: "test", Now: driver.SystemClock}
}

func holdOf(req *driver.Request, grant driver.Grant) driver.Hold {
	return driver.Hold{Key: req.Key, ID: req.ID, Token: grant.Token, TTL: req.TTL}
}

// An answer is what a call of Acquire in the background has returned.
type answer struct {
	grant driver.Grant
	err   error
}

// standIn begins a call and returns when so many wait.
func standIn(ctx context.Context, t *testing.T, d *Driver, req driver.Request, waiters int) <-chan answer {
	t.Helper()
	c := make(chan answer, 1)
	go func() {
		grant, err := d.Acquire(ctx, req)
		c <- answer{grant, err}
	}()
	for n := -1; n != waiters; {
		for state, err := range d.List(ctx, "k") {
			if err != nil {
				t.Fatal(err)
			}
			n = len(state.Waiters)
		}
	}
	return c
}

// TestOldNodeOfAnAttemptIsNotItsPlace: a session is over for its process before it
// is for the servers, and the attempt begins anew at the end of the line. The node
// that is left over from before grants nothing.
func TestOldNodeOfAnAttemptIsNotItsPlace(t *testing.T) {
	t.Parallel()
	s := zktest.Start(t)
	first := newTest(t, s.Addr)
	again, other := newTest(t, s.Addr), newTest(t, s.Addr)
	again.options.Root, other.options.Root = first.options.Root, first.options.Root
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	held := testRequest(30 * time.Second)
	grant, err := first.Acquire(ctx, held)
	if err != nil {
		t.Fatal(err)
	}
	// Long enough for a busy machine to begin anew while the servers still keep the old session.
	short, long := testRequest(5*time.Second), testRequest(30*time.Second)
	one := standIn(ctx, t, again, short, 1)
	two := standIn(ctx, t, other, long, 2)
	it, err := again.sessions.get(ctx, short.TTL)
	if err != nil {
		t.Fatal(err)
	}
	it.give()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	<-it.session.Done()
	if err := s.Again(); err != nil {
		t.Fatal(err)
	}
	for nodes := 0; nodes < 4; { // The holder's, its old one, the other's, its new one.
		l, err := first.line(ctx, mustSession(ctx, t, first), first.folder("k"))
		if err != nil {
			t.Fatal(err)
		}
		nodes = len(l)
	}
	if err := first.Release(ctx, holdOf(&held, grant)); err != nil {
		t.Fatal(err)
	}
	second := <-two
	if second.err != nil {
		t.Fatal(second.err)
	}
	select {
	case early := <-one:
		t.Fatalf("two hold: %+v and %+v", early, second)
	case <-time.After(3 * time.Second):
	}
	if err := other.Release(ctx, holdOf(&long, second.grant)); err != nil {
		t.Fatal(err)
	}
	if last := <-one; last.err != nil || last.grant.Token <= second.grant.Token {
		t.Errorf("the one who began anew: %+v, after %+v", last, second)
	}
}

func mustSession(ctx context.Context, t *testing.T, d *Driver) *zk.Session {
	t.Helper()
	it, err := d.sessions.get(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	it.give()
	return it.session
}

// TestPartedServerProvesNothing: a server that has lost the others answers its clients
// for a while, also one that led and does not know yet that another one does; but the
// sessions of its clients expire. A holder there learns that it cannot renew before
// the next one is granted.
func TestPartedServerProvesNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		leads bool
	}{{"follower", false}, {"leader", true}} {
		t.Run(c.name, func(t *testing.T) { testPartedServer(t, c.leads) })
	}
}

func testPartedServer(t *testing.T, leads bool) {
	e, cut := zktest.StartCuttable(t, leads)
	if leader, _ := e.Leader(t); (leader == e.Servers[0]) != leads {
		t.Fatalf("the first server leads: %v", !leads)
	}
	holder, next := newTest(t, e.Servers[0].Addr), newTest(t, e.Servers[1].Addr)
	next.options.Root = holder.options.Root
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req := testRequest(4 * time.Second)
	grant, err := holder.Acquire(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	granted := make(chan driver.Instant, 1)
	go func() {
		if _, err := next.Acquire(ctx, testRequest(30*time.Second)); err == nil {
			granted <- driver.SystemClock()
		}
	}()
	deadline := grant.From.Add(req.TTL)
	for begun, isCut := time.Now(), false; ; {
		if !isCut && time.Since(begun) > time.Second {
			cut()
			isCut = true
		}
		sent := driver.SystemClock()
		try, stop := context.WithTimeout(ctx, 1500*time.Millisecond)
		err := holder.Renew(try, holdOf(&req, grant), req.TTL)
		stop()
		if err != nil && isCut {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		deadline = sent.Add(req.TTL)
		select {
		case at := <-granted:
			t.Fatalf("the next one was granted %v before the holder's deadline", deadline.Sub(at))
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("renewals go on and on")
		}
	}
	select {
	case at := <-granted:
		if at < deadline {
			t.Errorf("the next one was granted %v before the holder's deadline", deadline.Sub(at))
		}
		t.Logf("the next one was granted %v after the holder's deadline", at.Sub(deadline))
	case <-ctx.Done():
		t.Error("nobody is granted")
	}
}

// TestAnotherLimitIsNotPassedOver: a node that came with another limit, and should
// have gone, counts against everybody behind it, and hides nobody.
func TestAnotherLimitIsNotPassedOver(t *testing.T) {
	t.Parallel()
	var ids [4]driver.LeaseID
	for i := range ids {
		ids[i] = driver.NewLeaseID()
	}
	name := func(limit, i int, number string) string { return opening(driver.Exclusive, limit, ids[i]) + number }
	mutex, refused, second, third := name(1, 0, "0000000000"), name(3, 1, "0000000001"), name(1, 2, "0000000002"), name(3, 3, "0000000003")
	for _, c := range []struct {
		names []string
		holds []bool
	}{
		{[]string{mutex, refused, second}, []bool{true, false, false}},
		{[]string{refused, second}, []bool{true, false}},
		{[]string{refused, second, third}, []bool{true, false, false}},
		{[]string{second, third}, []bool{true, false}},
		{[]string{third, refused}, []bool{true, true}},
	} {
		l := parseLine(c.names)
		var holds []bool
		for at := range l {
			holds = append(holds, l.holds(at))
		}
		if !slices.Equal(holds, c.holds) {
			t.Errorf("%v: %v, want %v", c.names, holds, c.holds)
		}
	}
}
