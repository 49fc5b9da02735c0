package zkproxy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stilelock/stile/zklock/internal/zk"
	"github.com/stilelock/stile/zklock/internal/zkproxy"
	"github.com/stilelock/stile/zklock/internal/zktest"
)

const (
	glance  = 100 * time.Millisecond
	slack   = 10 * time.Second
	timeout = 10 * time.Second
)

func TestMain(m *testing.M) {
	status := m.Run()
	if err := zktest.StopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// open returns a session over a network, and one that goes straight to the server.
func open(t *testing.T) (network *zkproxy.Network, client, direct *zk.Session) {
	t.Helper()
	server := zktest.Shared(t)
	network = zkproxy.New(t)
	addrs, err := network.Addrs(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return network, session(t, addrs[0]), session(t, server.Addr)
}

func session(t *testing.T, addr string) *zk.Session {
	t.Helper()
	s, err := zk.Open(t.Context(), zk.Config{Servers: []string{addr}, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Drop)
	return s
}

func create(t *testing.T) *zk.Create {
	t.Helper()
	return &zk.Create{Path: "/" + t.Name(), ACL: []zk.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}, Mode: zk.Ephemeral}
}

func exists(t *testing.T, s *zk.Session) error {
	t.Helper()
	_, err := s.Start(&zk.Exists{Path: "/" + t.Name()})[0].Wait(t.Context())
	return err
}

func TestLostReplyWasCarriedOut(t *testing.T) {
	t.Parallel()
	network, client, direct := open(t)
	before := network.Count(zkproxy.Create)
	network.LoseReply()
	if _, err := client.Start(create(t))[0].Wait(t.Context()); !errors.Is(err, zk.ErrUnknown) {
		t.Errorf("the reply was not lost: %v", err)
	}
	if err := exists(t, direct); err != nil {
		t.Errorf("the request was not carried out: %v", err)
	}
	if err := exists(t, client); err != nil { // Once only.
		t.Error(err)
	}
	if got := network.Count(zkproxy.Create) - before; got != 1 {
		t.Errorf("%d creates were counted", got)
	}
}

func TestRequestThatIsHeldBackInTheMiddleOfOneWrite(t *testing.T) {
	t.Parallel()
	network, client, direct := open(t)
	rule := network.HoldRequest(zkproxy.Exists, 1)
	calls := client.Start(create(t), &zk.Exists{Path: "/" + t.Name()})
	if _, err := calls[0].Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-rule.Hit
	if err := exists(t, direct); err != nil {
		t.Error(err)
	}
	select {
	case <-calls[1].Done():
		t.Error("an answer to a request that is held back")
	case <-time.After(glance):
	}
	rule.Free()
	if _, err := calls[1].Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRequestThatIsCutOff(t *testing.T) {
	t.Parallel()
	network, client, direct := open(t)
	network.CutBefore(zkproxy.Create, 1)
	if _, err := client.Start(create(t))[0].Wait(t.Context()); !errors.Is(err, zk.ErrUnknown) {
		t.Errorf("the request came through: %v", err)
	}
	if err := exists(t, direct); !errors.Is(err, zk.NoNode) {
		t.Errorf("the request was carried out: %v", err)
	}
}

func TestReplyThatIsHeldBack(t *testing.T) {
	t.Parallel()
	network, client, direct := open(t)
	rule := network.HoldReply(zkproxy.Create, 1)
	call := client.Start(create(t))[0]
	<-rule.Hit
	if err := exists(t, direct); err != nil {
		t.Error(err)
	}
	rule.Free()
	if _, err := call.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEventsAreCountedAndHeldBack(t *testing.T) {
	t.Parallel()
	network, client, direct := open(t)
	watch := client.NewWatch(nil)
	if _, err := client.Start(&zk.Exists{Path: "/" + t.Name(), Watch: watch})[0].Wait(t.Context()); !errors.Is(err, zk.NoNode) {
		t.Fatal(err)
	}
	rule := network.HoldReply(zkproxy.Event, 1)
	if _, err := direct.Start(create(t))[0].Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-rule.Hit
	if watch.Fired() != 0 {
		t.Error("the event was not held back")
	}
	rule.Free()
	if event := <-watch.C(); event != zk.Created || network.Count(zkproxy.Event) != 1 {
		t.Errorf("event %v, of %d", event, network.Count(zkproxy.Event))
	}
}

func TestMutedHandshake(t *testing.T) {
	t.Parallel()
	network, client, _ := open(t)
	id := client.ID()
	network.MuteHandshakes()
	asked := network.Note(zkproxy.Handshake, 2) // So that one was given up.
	network.Drop()
	<-asked.Hit
	network.Heal()
	if err := exists(t, client); !errors.Is(err, zk.NoNode) || client.ID() != id {
		t.Errorf("healed: %v", err)
	}
}

func TestBlackHoleSwallows(t *testing.T) {
	t.Parallel()
	network, client, direct := open(t)
	network.BlackHole()
	ctx, cancel := context.WithTimeout(t.Context(), glance)
	defer cancel()
	call := client.Start(create(t))[0]
	if _, err := call.Wait(ctx); !errors.Is(err, zk.ErrUnknown) {
		t.Errorf("an answer out of a black hole: %v", err)
	}
	network.Heal()
	if _, err := call.Wait(t.Context()); !errors.Is(err, zk.ErrUnknown) {
		t.Errorf("an answer to what was lost: %v", err)
	}
	if err := exists(t, direct); !errors.Is(err, zk.NoNode) {
		t.Errorf("the server has it: %v", err)
	}
	if err := exists(t, client); !errors.Is(err, zk.NoNode) {
		t.Error(err)
	}
}

func TestCutAndSessionTakenAway(t *testing.T) {
	t.Parallel()
	network, client, _ := open(t)
	seen := network.Sessions()
	if len(seen) != 1 || seen[0].ID != client.ID() {
		t.Fatalf("sessions %v", seen)
	}
	network.Cut()
	thief, err := zk.Resume(t.Context(), zk.Config{Servers: []string{zktest.Shared(t).Addr}, Timeout: timeout}, seen[0].ID, seen[0].Password)
	if err != nil {
		t.Fatal(err)
	}
	if err := thief.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if client.Err() != nil {
		t.Errorf("the client is cut off, and has heard: %v", client.Err())
	}
	network.Heal()
	select {
	case <-client.Done():
	case <-time.After(slack):
		t.Error("the client has not heard that its session is over")
	}
}
