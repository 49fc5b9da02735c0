package tests

import (
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gozk "github.com/go-zookeeper/zk"

	"github.com/stilelock/stile/zklock/internal/zkproxy"
	"github.com/stilelock/stile/zklock/internal/zktest"
)

// TestSessionExpiredBetweenCreateAndList: a client's session ends when its node is
// made and before it has listed the others; there are three servers to go on with,
// and a rival holds. The Lock of go-zookeeper then believes that it holds, too:
// its list is answered in a new session and it does not miss its own node. If it
// does not, this schedule proves nothing.
func TestSessionExpiredBetweenCreateAndList(t *testing.T) {
	servers := zktest.SharedEnsemble(t).Addrs()
	t.Run("go-zookeeper", func(t *testing.T) { t.Parallel(); holeOfGoZookeeper(t, servers) })
	t.Run("zklock", func(t *testing.T) { t.Parallel(); holeOfOurs(t, servers) })
}

func holeOfOurs(t *testing.T, servers []string) {
	t.Helper()
	path := root()
	rival := openDriver(t, servers, path)
	makeFolder(t, servers, path) // One that does not go when it is empty.
	d, network := breakable(t, servers, path)
	rule := network.HoldRequest(zkproxy.Children, 1)
	ours := begin(t, d, long)
	<-rule.Hit
	until(t, "the node is made", func() bool { return len(children(t, servers, path+"/"+key)) == 1 })
	network.Cut()
	killSessions(t, servers, network)
	held := begin(t, rival, long).granted()
	network.Heal()
	ours.waits()
	held.release()
	if ours.granted(); ours.grant.Token <= held.grant.Token {
		t.Errorf("token %d after token %d", ours.grant.Token, held.grant.Token)
	}
	ours.release()
	wantNothing(t, servers, path)
}

func holeOfGoZookeeper(t *testing.T, servers []string) {
	t.Helper()
	path := root()
	acl := gozk.WorldACL(gozk.PermAll)
	quiet := func(c *gozk.Conn) { c.SetLogger(noLog{}) }
	other, _, err := gozk.Connect(servers, slack, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	if _, err := other.Create(path, nil, 0, acl); err != nil {
		t.Fatal(err)
	}
	network := zkproxy.New(t)
	addrs, err := network.Addrs(servers...)
	if err != nil {
		t.Fatal(err)
	}
	schedule := &schedule{sent: make(chan struct{}), queued: make(chan struct{}), killed: make(chan struct{})}
	conn, _, err := gozk.Connect(addrs, slack, quiet, gozk.WithDialer(schedule.dial))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	t.Cleanup(schedule.freeAll) // Before that.
	lock, rival := gozk.NewLock(conn, path, acl), gozk.NewLock(other, path, acl)
	result := make(chan error, 1)
	go func() { result <- lock.Lock() }()
	<-schedule.sent
	until(t, "the list waits in the client's queue", listIsQueued)
	network.Cut()
	killSessions(t, servers, network)
	if err := rival.Lock(); err != nil {
		t.Fatal(err)
	}
	network.Heal()
	schedule.freeAll()
	select {
	case err = <-result:
	case <-time.After(slack):
		t.Fatal("it neither holds nor fails: the hole is not shown")
	}
	if err != nil {
		t.Fatalf("the hole is not shown: %v", err)
	}
	nodes, _, err := other.Children(path)
	if err != nil || len(nodes) != 1 {
		t.Fatalf("want the rival's node alone: %v, %v", nodes, err)
	}
	if err := rival.Unlock(); err != nil { // The one node is its own.
		t.Errorf("the rival did not hold: %v", err)
	}
	t.Log("go-zookeeper's Lock has two holders")
}

// A schedule has go-zookeeper's client hear that its node is made while the write
// that asked for it has not returned yet, and then fails; so the next request
// still waits in the queue when the connection breaks. It connects again when the
// session is over.
type schedule struct {
	sent   chan struct{} // the create is on its way
	queued chan struct{} // the next request waits
	killed chan struct{}
	once   sync.Once
	dials  atomic.Int64
}

func (s *schedule) freeAll() {
	s.once.Do(func() {
		close(s.queued)
		close(s.killed)
	})
}

func (s *schedule) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	if s.dials.Add(1) > 1 {
		<-s.killed
	}
	conn, err := net.DialTimeout(network, address, timeout)
	if err != nil {
		return nil, err
	}
	return &slowWriter{Conn: conn, schedule: s}, nil
}

type slowWriter struct {
	net.Conn

	schedule *schedule
}

var errReset = errors.New("connection reset, though all was sent")

func (w *slowWriter) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	const opAt = 8
	if err != nil || len(p) < opAt+4 || zkproxy.Op(binary.BigEndian.Uint32(p[opAt:])) != zkproxy.PlainCreate || !strings.Contains(string(p), "lock-") {
		return n, err
	}
	select {
	case <-w.schedule.queued:
		return n, nil
	default:
	}
	close(w.schedule.sent)
	<-w.schedule.queued
	return n, errReset
}

// listIsQueued reports whether a Lock of go-zookeeper waits for its list.
func listIsQueued() bool {
	stacks := make([]byte, 1<<22)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for one := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(one, "[select") && strings.Contains(one, "zk.(*Conn).request(") && strings.Contains(one, "zk.(*Conn).Children(") && strings.Contains(one, "zk.(*Lock).") {
			return true
		}
	}
	return false
}

type noLog struct{}

func (noLog) Printf(string, ...any) {}
