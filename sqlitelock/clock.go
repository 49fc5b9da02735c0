package sqlitelock

import (
	"time"

	"github.com/stilelock/stile/driver/lockqueue"
)

// A clock is the time of the store. All processes that share a file must read
// the same one.
type clock interface {
	// now reads the lease clock, which starts at boot and counts on through a
	// suspend, and the wall clock.
	now() lockqueue.Now
	// boot names the boot that the lease clock counts from.
	boot() string
}

func wallNow() lockqueue.Micros { return lockqueue.Micros(time.Now().UnixMicro()) }
