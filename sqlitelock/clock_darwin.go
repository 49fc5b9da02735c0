package sqlitelock

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// bootClock reads the wall clock less the time of boot. The kernel moves both
// together when the clock is set, so their difference is steady, and it runs
// on while the machine sleeps.
type bootClock struct {
	id string
	// last is the last time of boot that was read, for when it cannot be read.
	last atomic.Int64
}

func systemClock() (clock, error) {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return nil, fmt.Errorf("read boot id: %w: %w", driver.ErrUnavailable, err)
	}
	at, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return nil, fmt.Errorf("read boot time: %w: %w", driver.ErrUnavailable, err)
	}
	c := &bootClock{id: id}
	c.last.Store(int64(inMicros(at)))
	return c, nil
}

func (c *bootClock) boot() string { return c.id }

func (c *bootClock) now() lockqueue.Now {
	for {
		before := c.bootTime()
		wall := wallNow()
		// The clock was set between the two readings if boot has moved.
		if after := c.bootTime(); after == before {
			return lockqueue.Now{Lease: wall - before, Wall: wall}
		}
	}
}

func (c *bootClock) bootTime() lockqueue.Micros {
	at, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return lockqueue.Micros(c.last.Load())
	}
	c.last.Store(int64(inMicros(at)))
	return inMicros(at)
}

func inMicros(at *unix.Timeval) lockqueue.Micros {
	return lockqueue.Micros(time.Duration(at.Nano()) / time.Microsecond)
}
