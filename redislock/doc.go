// Package redislock is the driver for Redis, and for Valkey. Importing it
// registers the URL schemes redis, rediss, redis+sentinel and redis+cluster;
// [New] takes a client that is ready.
//
// # How it works
//
// Each command of a lock is one Lua script, which does in Redis what package
// lockqueue does elsewhere. Taking a free key is one request, giving it back
// another. Who must wait stands in line in Redis. The script that frees the
// key grants the first in line in the same step and publishes that to the
// waiter's process; if nobody heard it, the process is gone, and the next in
// line is granted instead.
//
// While somebody holds a lock, a plain string stands under the lock's own name,
// with a TTL. So programs that take the same key by SET with NX and PX are kept
// out, and keep others out.
//
// # What it promises
//
// What package driver says, as long as the server keeps its word: it does not
// lose what it has acknowledged, and its clock does not jump. Leases are counted
// by the server; no client's clock of the day decides anything. No key stays in
// Redis for ever.
//
// # What it does not
//
// A failover to a replica can lose the last grants: then two may hold the same
// lock until the first one's lease is renewed in vain. Fencing tokens still rise,
// unless the new server's clock is behind by more than the failover took. The
// server must not evict keys. docs/stores/redis.md says more about each topology.
//
// A waiter whose process cannot be reached at the moment when its turn comes
// loses its place; it asks again and stands at the end.
//
// # Files
//
// acquire.go and wait.go are one call of Acquire. send.go runs a script, and
// internal/script has the scripts and reads their answers. ears.go hears of
// grants. url.go, tls.go, open.go and conns.go are the way to the server, and
// errors.go says what it means when it refuses.
package redislock
