package redislock_test

import (
	"testing"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/redislock/internal/redistest"
)

func TestConformanceStandalone(t *testing.T) {
	conform(t, standalone(redistest.Shared(t)), func(t testing.TB) *topology {
		return standalone(redistest.Start(t, redistest.AOF()))
	})
}

func TestConformanceSentinel(t *testing.T) {
	conform(t, sentinel(redistest.SharedSentinel(t)), func(t testing.TB) *topology {
		return sentinel(redistest.StartSentinel(t, &redistest.SentinelOptions{Servers: []redistest.Option{redistest.AOF()}}))
	})
}

func TestConformanceCluster(t *testing.T) {
	conform(t, cluster(redistest.SharedCluster(t)), func(t testing.TB) *topology {
		return cluster(redistest.StartCluster(t, redistest.AOF()))
	})
}

// oneConnection to each server: of several, each would have to find out for
// itself that a server was started again.
const oneConnection = -1

func standalone(s *redistest.Server) *topology {
	return &topology{
		url: s.URL,
		client: func() rueidis.ClientOption {
			return rueidis.ClientOption{InitAddress: []string{s.Addr}, ForceSingleClient: true, PipelineMultiplex: oneConnection}
		},
		servers: []*redistest.Server{s},
		restart: s.Restart,
	}
}

func sentinel(s *redistest.Sentinel) *topology {
	return &topology{
		url: s.URL,
		client: func() rueidis.ClientOption {
			return rueidis.ClientOption{
				InitAddress: s.Addrs(), Sentinel: rueidis.SentinelOption{MasterSet: redistest.PrimaryName}, PipelineMultiplex: oneConnection,
			}
		},
		servers: s.Servers[:],
		restart: s.Restart,
	}
}

func cluster(c *redistest.Cluster) *topology {
	return &topology{
		url: c.URL,
		client: func() rueidis.ClientOption {
			return rueidis.ClientOption{InitAddress: c.Addrs(), PipelineMultiplex: oneConnection}
		},
		servers: c.Nodes[:],
		restart: c.Restart,
	}
}
