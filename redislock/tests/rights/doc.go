// Package rights tests that the rights which docs/stores/redis.md gives to a
// user of Redis are enough, and that none of them is too many.
//
// It promises nothing to anybody: it is not released.
package rights
