package redistest_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/redislock/internal/redistest"
)

func TestStandalone(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	s := redistest.Start(t)
	t.Logf("started in %v", time.Since(begin))
	if got := s.Must(t, "SET", "k", "v"); got != "OK" {
		t.Fatalf("SET: %v", got)
	}
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	if got, err := tcp(t, s.Addr, 100*time.Millisecond); err == nil {
		t.Errorf("a frozen server answers %v", got)
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	if _, err := tcp(t, s.Addr, 5*time.Second); err != nil {
		t.Errorf("a server that was frozen: %v", err)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := s.Must(t, "GET", "k"); got != nil {
		t.Errorf("a server without persistence has kept %v", got)
	}
}

// tcp asks at a server's TCP address for a PONG.
func tcp(t *testing.T, addr string, patience time.Duration) (any, error) {
	t.Helper()
	conn, err := redistest.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Send("PING"); err != nil {
		t.Fatal(err)
	}
	return conn.Receive(patience)
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			s.Must(t, "SET", "me", s.Addr)
			if got := s.Must(t, "GET", "me"); got != s.Addr {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAOFKeepsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.AOF())
	s.Must(t, "SET", "k", "v")
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := s.Must(t, "GET", "k"); got != "v" {
		t.Errorf("got %v after a crash", got)
	}
}

func TestPasswordAndUsers(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Password("a b"), redistest.User("app on >secret ~app:* +get"))
	if got := s.Must(t, "SET", "app:1", "v"); got != "OK" {
		t.Errorf("SET by the default user: %v", got)
	}
	if got, err := tcp(t, s.Addr, 5*time.Second); err == nil {
		t.Errorf("without a password: %v", got)
	}
	conn, err := redistest.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Do("AUTH", "app", "secret"); err != nil {
		t.Fatal(err)
	}
	if got, err := conn.Do("GET", "app:1"); err != nil || got != "v" {
		t.Errorf("GET by app: %v, %v", got, err)
	}
	if got, err := conn.Do("SET", "app:1", "w"); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
		t.Errorf("SET by app: %v, %v", got, err)
	}
}

func TestTLSWantsACertificate(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.TLS())
	ca, err := os.ReadFile(s.TLS.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	own, err := tls.LoadX509KeyPair(s.TLS.Cert, s.TLS.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		certs  []tls.Certificate
		served bool
	}{{"with", []tls.Certificate{own}, true}, {"without", nil, false}} {
		conn, err := tls.Dial("tcp", s.Addr, &tls.Config{RootCAs: roots, Certificates: c.certs})
		if err == nil {
			if _, err = conn.Write([]byte("PING\r\n")); err == nil {
				_, err = conn.Read(make([]byte, 7))
			}
			conn.Close()
		}
		if (err == nil) != c.served {
			t.Errorf("%s a certificate: %v", c.name, err)
		}
	}
	if u, err := url.Parse(s.URL("prefix=a b")); err != nil || u.Scheme != "rediss" || u.Query().Get("prefix") != "a b" || u.Query().Get("cert") == "" {
		t.Errorf("URL %v, %v", u, err)
	}
}

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	s := redistest.StartSentinel(t, &redistest.SentinelOptions{Watchers: 3, DownAfter: time.Second})
	t.Logf("started in %v", time.Since(begin))
	first, err := s.Primary()
	if err != nil || first != s.Servers[0] {
		t.Fatalf("the primary is %v, %v", first, err)
	}
	first.Must(t, "SET", "k", "v")
	begin = time.Now()
	if err := s.Failover(); err != nil {
		t.Fatal(err)
	}
	t.Logf("failed over by command in %v", time.Since(begin))
	second, err := s.Primary()
	if err != nil || second != s.Servers[1] {
		t.Fatalf("the primary is %v, %v", second, err)
	}
	if got := second.Must(t, "GET", "k"); got != "v" {
		t.Errorf("got %v after a failover", got)
	}
	if err := s.Synced(); err != nil {
		t.Fatal(err)
	}
	t.Logf("synced in %v", time.Since(begin))
	begin = time.Now()
	if err := second.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Moved(second); err != nil {
		t.Fatal(err)
	}
	t.Logf("failed over from a dead primary in %v", time.Since(begin))
}

func TestClusterMovesASlot(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	c := redistest.StartCluster(t, redistest.AOF())
	t.Logf("started in %v", time.Since(begin))
	slot, err := c.SlotOf("k")
	if err != nil {
		t.Fatal(err)
	}
	owner, err := c.Owner(slot)
	if err != nil {
		t.Fatal(err)
	}
	c.Nodes[owner].Must(t, "SET", "k", "v")
	m, err := c.Migration(slot)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(); err != nil {
		t.Fatal(err)
	}
	now, err := c.Owner(slot)
	if err != nil || now == owner || c.Nodes[now] != m.Target() {
		t.Fatalf("the owner is node %d, %v; it was %d", now, err, owner)
	}
	if got := c.Nodes[now].Must(t, "GET", "k"); got != "v" {
		t.Errorf("got %v after the slot moved", got)
	}
	begin = time.Now()
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	t.Logf("restarted in %v", time.Since(begin))
	if got := c.Nodes[now].Must(t, "GET", "k"); got != "v" {
		t.Errorf("got %v after a restart", got)
	}
}

func TestSharedIsOne(t *testing.T) {
	first := redistest.Shared(t)
	if again := redistest.Shared(t); again != first {
		t.Error("there are two")
	}
	if err := redistest.StopShared(); err != nil {
		t.Fatal(err)
	}
}
