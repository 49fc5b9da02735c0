package redistest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// PrimaryName is what the Sentinels of this package call their primary.
const PrimaryName = "mymaster"

// A Sentinel is a primary, a replica and the Sentinels that watch them.
type Sentinel struct {
	// Servers are the two servers. The first was the primary at the start.
	Servers [2]*Server
	// Watchers are the Sentinels.
	Watchers []*Server
}

// SentinelOptions say how a Sentinel is to be; nil is the same as the zero
// value.
type SentinelOptions struct {
	// Watchers is the number of Sentinels; the majority decides. Default: 1.
	Watchers int
	// DownAfter is for how long a primary may be silent. Default: an hour, so
	// that only [Sentinel.Failover] moves the primary.
	DownAfter time.Duration
	// Servers are options of both servers.
	Servers []Option
}

// StartSentinel starts a primary, a replica and Sentinels, and returns when a
// failover could begin. They end with the test.
func StartSentinel(t testing.TB, options *SentinelOptions) *Sentinel {
	t.Helper()
	s, err := startSentinel(options)
	if err != nil {
		t.Fatal(err)
	}
	for i, server := range s.all() {
		server.endWith(t, fmt.Sprintf("redis-server %d (%s)", i, server.Addr))
	}
	return s
}

func startSentinel(options *SentinelOptions) (s *Sentinel, err error) {
	o := SentinelOptions{Watchers: 1, DownAfter: time.Hour}
	if options != nil {
		o.Servers = options.Servers
		o.Watchers = max(1, options.Watchers)
		if options.DownAfter > 0 {
			o.DownAfter = options.DownAfter
		}
	}
	s = &Sentinel{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.discard())
		}
	}()
	if s.Servers[0], err = start(o.Servers); err != nil {
		return s, err
	}
	replica := append([]Option{Config("replicaof", "127.0.0.1", strconv.Itoa(s.Servers[0].Port))}, o.Servers...)
	if s.Servers[1], err = start(replica); err != nil {
		return s, err
	}
	if err := s.Synced(); err != nil {
		return s, err
	}
	for range o.Watchers {
		w, err := s.startWatcher(&o)
		if err != nil {
			return s, err
		}
		s.Watchers = append(s.Watchers, w)
	}
	return s, s.agreed(o.Watchers)
}

// startWatcher starts one Sentinel on a free port, and on another one if
// somebody else took it first.
func (s *Sentinel) startWatcher(o *SentinelOptions) (w *Server, err error) {
	for range 5 {
		if w, err = createWatcher(s.Servers[0].Port, o); err != nil {
			return nil, err
		}
		if err = w.Again(); err == nil {
			return w, nil
		}
		err = errors.Join(err, w.discard())
		if !errors.Is(err, errExited) {
			return nil, err
		}
	}
	return nil, err
}

func createWatcher(primary int, o *SentinelOptions) (*Server, error) {
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	w := &Server{process: &process{dir: dir}}
	w.Socket = w.process.socket()
	if w.Port, err = w.takePort(); err != nil {
		return nil, errors.Join(err, w.discard())
	}
	w.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(w.Port))
	conf, err := configFile(dir, []string{
		"bind 127.0.0.1", "protected-mode no", "daemonize no", "dir " + dir, "unixsocket " + w.Socket,
		"port " + strconv.Itoa(w.Port),
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d %d", PrimaryName, primary, o.Watchers/2+1),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", PrimaryName, o.DownAfter.Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s 10000", PrimaryName),
	})
	if err != nil {
		return nil, errors.Join(err, w.discard())
	}
	w.process.args = []string{conf, "--sentinel"}
	return w, nil
}

func (s *Sentinel) all() []*Server {
	var all []*Server
	for _, server := range append(s.Servers[:], s.Watchers...) {
		if server != nil {
			all = append(all, server)
		}
	}
	return all
}

func (s *Sentinel) discard() error {
	var errs []error
	for _, server := range s.all() {
		errs = append(errs, server.discard())
	}
	return errors.Join(errs...)
}

// Synced waits until the replica follows its primary.
func (s *Sentinel) Synced() error {
	return until("the replica follows its primary", func() bool {
		replicas := 0
		for _, server := range s.Servers {
			info, err := server.Info("replication")
			if err != nil {
				return false
			}
			if info["role"] == "slave" && info["master_link_status"] == "up" {
				replicas++
			}
		}
		return replicas == 1
	})
}

// agreed waits until all Sentinels know one another and the replica.
func (s *Sentinel) agreed(watchers int) error {
	return until("the Sentinels know one another and the replica", func() bool {
		for _, w := range s.Watchers {
			info, err := w.Info("sentinel")
			if err != nil || !strings.Contains(info["master0"], "status=ok") || !strings.Contains(info["master0"], "slaves=1,") ||
				!strings.HasSuffix(info["master0"], fmt.Sprintf("sentinels=%d", watchers)) {
				return false
			}
		}
		return true
	})
}

// URL returns the store URL of the group: redis+sentinel://SENTINELS/NAME/0.
func (s *Sentinel) URL(query ...string) string {
	return "redis+sentinel://" + strings.Join(s.Addrs(), ",") + "/" + PrimaryName + "/0?" + encodeQuery(query)
}

// Addrs are the addresses of the Sentinels.
func (s *Sentinel) Addrs() []string {
	var addrs []string
	for _, w := range s.Watchers {
		addrs = append(addrs, w.Addr)
	}
	return addrs
}

// Primary returns the server that is the primary, by the word of the first
// Sentinel.
func (s *Sentinel) Primary() (*Server, error) {
	value, err := s.Watchers[0].Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", PrimaryName)
	if err != nil {
		return nil, err
	}
	if addr, is := value.([]any); is && len(addr) == 2 {
		for _, server := range s.Servers {
			if addr[1] == strconv.Itoa(server.Port) {
				return server, nil
			}
		}
	}
	return nil, fmt.Errorf("find the primary: the Sentinel answers %v", value)
}

// Failover makes the replica the primary, as an operator does, and returns
// when it is. The other one believes for some seconds more that it is the
// primary, and follows then: see [Sentinel.Synced].
func (s *Sentinel) Failover() error {
	before, err := s.Primary()
	if err != nil {
		return err
	}
	if _, err := s.Watchers[0].Do("SENTINEL", "FAILOVER", PrimaryName); err != nil {
		return err
	}
	return s.Moved(before)
}

// Moved waits until another server than before is the primary, and says so
// itself.
func (s *Sentinel) Moved(before *Server) error {
	return until("another server is the primary", func() bool {
		now, err := s.Primary()
		if err != nil || now == before {
			return false
		}
		info, err := now.Info("replication")
		return err == nil && info["role"] == "master"
	})
}

// Restart kills the primary and starts it again before a Sentinel minds.
func (s *Sentinel) Restart() error {
	primary, err := s.Primary()
	if err != nil {
		return err
	}
	if err := primary.process.end(os.Kill); err != nil {
		return err
	}
	return primary.Again()
}
