// Package script is what runs inside Redis, and how it is spoken to: the names
// of a lock's keys, the Lua scripts, their arguments, their answers and the
// records that they keep. It knows no client library and does no I/O.
//
// It promises that all keys of one lock fall into one slot of a Redis Cluster,
// that a lock's key can be read back from each of their names, and that
// nothing that a server sends makes it panic: what it cannot read is an error.
//
// The scripts are the machine of package lockqueue in another language. They
// are compared with it over random commands by the tests of redislock/tests.
// Each is made of a head, which reads what it needs and does the common case
// with as few commands as possible, and of parts that they share: see lua.
//
// It does not check what it sends: see driver.Request.Check.
package script
