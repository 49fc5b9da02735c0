package guard

import (
	"bytes"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// ignoredSet reads, once and before any signal is asked for, which signals are
// ignored. Package os/signal does not know it of those that stop a process.
var ignoredSet = sync.OnceValue(func() uint64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if value, found := bytes.CutPrefix(line, []byte("SigIgn:")); found {
			set, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 16, 64)
			if err != nil {
				return 0
			}
			return set
		}
	}
	return 0
})

func ignoredAtStart(sig os.Signal) bool {
	number, ok := sig.(unix.Signal)
	return ok && number > 0 && ignoredSet()&(1<<(number-1)) != 0
}
