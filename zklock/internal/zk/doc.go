// Package zk speaks to ZooKeeper: one session, its connection, its requests and
// its watches.
//
// # What it promises
//
// A [Session] is one session of the servers. It is never replaced by another
// one: when it is over, it is over for ever, and each request that it ever took
// has an answer, ErrNotSent, or ErrUnknown. It moves from server to server as
// connections break. No request is sent twice.
//
// Requests that are started together travel together, on one connection, in
// order. Each answer tells when its request was sent, by the clock that leases
// are counted by: at that moment the session still lived.
//
// The local end of a session does not wait for anybody: a session whose last
// answered request was sent its whole timeout ago is over.
//
// # What it does not
//
// It knows nothing of locks. It does not retry, and it opens no second
// connection for a session. There are no child watches, no transactions, no SASL
// and no read-only mode, because the locks need none.
//
// The wire format is that of ZooKeeper 3.5 and later (src/zookeeper.jute there).
package zk
