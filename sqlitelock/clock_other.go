//go:build !linux && !darwin

package sqlitelock

import (
	"fmt"
	"runtime"

	"github.com/stilelock/stile/driver"
)

func systemClock() (clock, error) {
	return nil, fmt.Errorf("read clock: %w: the sqlite store works on Linux and macOS only, not on %s: use the service, or another store", driver.ErrInvalid, runtime.GOOS)
}
