package zktest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are taken from below the range that Linux gives to outgoing connections
// (32768 to 60999): a server that is started again finds its port free, and a
// client that dials a stopped server cannot be given that very port and so be
// connected with itself.
const (
	firstPort = 12000
	lastPort  = 32000
)

// handedOut are the ports that this process has in use, even where nothing
// listens because a server is stopped.
var handedOut struct {
	sync.Mutex
	ports map[int]bool
}

// freePort returns a port that was free a moment ago. Another process may
// still take it first; then the server does not start and the caller asks again.
func freePort() (int, error) {
	handedOut.Lock()
	defer handedOut.Unlock()
	if handedOut.ports == nil {
		handedOut.ports = make(map[int]bool)
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if handedOut.ports[port] {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		_ = listener.Close()
		handedOut.ports[port] = true
		return port, nil
	}
	return 0, fmt.Errorf("find a free port: none from %d to %d in 1000 tries", firstPort, lastPort)
}

func givePortBack(port int) {
	handedOut.Lock()
	defer handedOut.Unlock()
	delete(handedOut.ports, port)
}
