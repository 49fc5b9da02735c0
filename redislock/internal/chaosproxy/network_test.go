package chaosproxy_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/redislock/internal/chaosproxy"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// open returns a connection to a real server through a network, and the server.
func open(t *testing.T) (*chaosproxy.Network, *redistest.Conn, *redistest.Server) {
	t.Helper()
	server := redistest.Start(t)
	network := chaosproxy.New(t)
	return network, dial(t, network, server), server
}

func dial(t *testing.T, network *chaosproxy.Network, server *redistest.Server) *redistest.Conn {
	t.Helper()
	addr, err := network.Addr(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := redistest.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func must(t *testing.T, conn *redistest.Conn, args ...string) {
	t.Helper()
	if _, err := conn.Do(args...); err != nil {
		t.Fatal(err)
	}
}

const (
	glance = 100 * time.Millisecond
	slack  = 10 * time.Second
)

func TestLostReplyWasCarriedOut(t *testing.T) {
	t.Parallel()
	network, conn, server := open(t)
	must(t, conn, "PING")
	network.LoseReplyTo("mark")
	must(t, conn, "SET", "k", "other")
	if got, err := conn.Do("SET", "k", "mark"); err == nil {
		t.Errorf("the reply %v was not lost", got)
	}
	if got := server.Must(t, "GET", "k"); got != "mark" {
		t.Errorf("the server has %v", got)
	}
	must(t, dial(t, network, server), "SET", "k", "mark") // Once only.
}

// TestLostReplyBehindOthersWasCarriedOut: replies to earlier commands do not
// end the connection before the server has carried out the one that counts.
func TestLostReplyBehindOthersWasCarriedOut(t *testing.T) {
	t.Parallel()
	network, _, server := open(t)
	addr, err := network.Addr(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		mark := fmt.Sprintf("mark%04d", i)
		network.LoseReplyTo(mark)
		if replies := pipeline(t, addr, "PING\r\n", "SET k "+mark+"\r\n"); strings.Contains(replies, "OK") {
			t.Fatalf("the reply was not lost: %q", replies)
		}
		if got := server.Must(t, "GET", "k"); got != mark {
			t.Fatalf("the server has %v; want %s", got, mark)
		}
	}
}

// pipeline sends commands over a connection of their own and reads until it ends.
func pipeline(t *testing.T, addr string, commands ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, command := range commands {
		if _, err := conn.Write([]byte(command)); err != nil {
			break // The connection's end is what this waits for.
		}
	}
	replies, _ := io.ReadAll(conn) // It may end by a reset: that says nothing more.
	return string(replies)
}

func TestHeldReplyAndHeldCommand(t *testing.T) {
	t.Parallel()
	network, conn, server := open(t)
	reply := network.HoldReply("first")
	if err := conn.Send("SET", "k", "first"); err != nil {
		t.Fatal(err)
	}
	<-reply.Hit
	if got := server.Must(t, "GET", "k"); got != "first" {
		t.Errorf("the reply is on its way, and the server has %v", got)
	}
	reply.Free()
	if got, err := conn.Receive(slack); err != nil || got != "OK" {
		t.Errorf("the reply that was held back is %v, %v", got, err)
	}
	command := network.HoldCommand("second")
	if err := conn.Send("SET", "k", "second"); err != nil {
		t.Fatal(err)
	}
	<-command.Hit
	if got := server.Must(t, "GET", "k"); got != "first" || !command.At().IsZero() {
		t.Errorf("the command is held back, and the server has %v, sent at %v", got, command.At())
	}
	freed := time.Now()
	command.Free()
	if got, err := conn.Receive(slack); err != nil || got != "OK" || command.At().Before(freed) {
		t.Errorf("the command that was held back gives %v, %v, sent at %v", got, err, command.At())
	}
}

func TestBlackHoleSwallows(t *testing.T) {
	t.Parallel()
	network, conn, server := open(t)
	must(t, conn, "SET", "k", "v")
	network.BlackHole()
	if err := conn.Send("SET", "k", "lost"); err != nil {
		t.Fatal(err)
	}
	if got, err := conn.Receive(glance); err == nil {
		t.Errorf("an answer out of a black hole: %v", got)
	}
	network.Heal()
	if got, err := conn.Receive(slack); err == nil {
		t.Errorf("an answer to what was lost: %v", got)
	}
	if got := server.Must(t, "GET", "k"); got != "v" {
		t.Errorf("the server has %v", got)
	}
	must(t, dial(t, network, server), "PING")
}

func TestCutAndDrop(t *testing.T) {
	t.Parallel()
	network, conn, server := open(t)
	must(t, conn, "PING")
	network.Drop()
	if got, err := conn.Do("PING"); err == nil {
		t.Errorf("a dropped connection answers %v", got)
	}
	conn = dial(t, network, server)
	must(t, conn, "PING")
	network.Cut()
	if got, err := dial(t, network, server).Do("PING"); err == nil {
		t.Errorf("a new connection while cut answers %v", got)
	}
	network.Heal()
	must(t, dial(t, network, server), "PING")
}

func TestDelay(t *testing.T) {
	t.Parallel()
	network, conn, _ := open(t)
	network.Delay(glance)
	begin := time.Now()
	must(t, conn, "PING")
	if took := time.Since(begin); took < 2*glance {
		t.Errorf("a round trip took %v", took)
	}
	network.Heal()
}
