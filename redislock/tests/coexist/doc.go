// Package coexist tests that stile and programs that lock with SET key value
// NX PX exclude each other on the same key of one Redis: users of redsync, of
// bsm/redislock, and of a few lines of their own.
//
// It promises nothing to anybody: it is not released. What such a mix can and
// cannot do is said in docs/stores/redis.md.
package coexist
