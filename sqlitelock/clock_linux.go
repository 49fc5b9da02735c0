package sqlitelock

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// bootClock reads CLOCK_BOOTTIME as the machine counts it.
type bootClock struct {
	id string
	// offset is what this process's time namespace adds to the clock.
	// Containers that share a file may live in different ones.
	offset time.Duration
}

func systemClock() (clock, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("read boot id: %w: /proc must be mounted: %w", driver.ErrUnavailable, err)
	}
	offsets, err := os.ReadFile("/proc/self/timens_offsets")
	if err != nil && !os.IsNotExist(err) { // Kernels without time namespaces lack the file.
		return nil, fmt.Errorf("read time namespace: %w: %w", driver.ErrUnavailable, err)
	}
	// What the kernel tells are the offsets of the namespace that children get.
	own, _ := os.Readlink("/proc/self/ns/time")
	children, _ := os.Readlink("/proc/self/ns/time_for_children")
	if own != children {
		return nil, fmt.Errorf("read time namespace: %w: this process has made one for its children: open the store in a child, or before", driver.ErrUnavailable)
	}
	offset, err := boottimeOffset(string(offsets))
	if err != nil {
		return nil, fmt.Errorf("read time namespace: %w: %w", driver.ErrUnavailable, err)
	}
	return &bootClock{id: strings.TrimSpace(string(id)), offset: offset}, nil
}

// boottimeOffset finds the offset of CLOCK_BOOTTIME in the text of
// /proc/self/timens_offsets, whose lines are clock, seconds and nanoseconds.
func boottimeOffset(text string) (time.Duration, error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		// The kernel writes names; the numbers of clocks are accepted as well.
		if len(fields) != 3 || fields[0] != "boottime" && fields[0] != "7" {
			continue
		}
		seconds, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parse seconds: %w", err)
		}
		nanos, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parse nanoseconds: %w", err)
		}
		return time.Duration(seconds)*time.Second + time.Duration(nanos), nil
	}
	return 0, nil
}

func (c *bootClock) boot() string { return c.id }

func (c *bootClock) now() lockqueue.Now {
	sinceBoot := time.Duration(driver.SystemClock()) - c.offset
	return lockqueue.Now{Lease: lockqueue.Micros(sinceBoot / time.Microsecond), Wall: wallNow()}
}
