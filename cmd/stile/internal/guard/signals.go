package guard

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// shielded are the signals that must not end or stop a guard.
var shielded = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM,
	unix.SIGPIPE, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU,
}

// IsIgnored reports whether this process was started with the signal ignored,
// as far as that can be known: a signal that is ignored stays so for the
// command, as `nohup` and a shell's `&` ask for. Of the signals that Go takes
// over at its start, only SIGHUP and SIGINT can be known; a shell ignores
// SIGQUIT together with SIGINT.
func IsIgnored(sig os.Signal) bool {
	if sig == unix.SIGQUIT {
		sig = unix.SIGINT
	}
	return signal.Ignored(sig) || ignoredAtStart(sig)
}
