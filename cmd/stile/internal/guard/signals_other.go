//go:build unix && !linux

package guard

import "os"

// ignoredAtStart cannot be known here for more signals than os/signal knows.
func ignoredAtStart(os.Signal) bool { return false }
