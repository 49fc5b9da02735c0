// Package zklock keeps locks in ZooKeeper, by the recipe that is known for it and
// without its known holes. Import it to make the scheme zookeeper known to
// stile.Open, or make a driver with [New].
//
// # How
//
// A key is a container node below the root. An attempt is an ephemeral
// sequential node in it; who has nobody before it that excludes it holds the key,
// and others watch the node before them. The name of a node begins with the
// attempt's id, so that a lost answer is found again, and says mode and limit.
// The fencing token is the number of the transaction that made the node (czxid).
//
// # What it promises
//
// All that package driver promises, but for what [Driver.Capabilities] names: no
// minimum hold, no blocks of tokens, no change of TTL by a renewal, and no lease
// outlives or leaves the process that took it. A lease's TTL is its session's:
// there is one session for each TTL in use, at most 16, and the session's timeout
// is somewhat longer (see [Options.Tick]). A lease that nobody
// renews ends after its TTL though its session lives on.
//
// Every attempt ends granted, or provably not in line, or in the hands of a
// goroutine of the driver that sees to it for as long as its session can live.
//
// # What it does not promise
//
// Nothing holds an ensemble to its word that loses its data. List's expiry is an
// upper bound by the clock of who asks: ZooKeeper does not tell when it heard of a
// session last. See docs/stores/zookeeper.md.
package zklock
