package cli

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stilelock/stile/cmd/stile/internal/guard"
)

// leaving are the signals that make a waiting run leave the line.
var leaving = []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM}

// passedOn are the signals that the command gets when the front gets them.
var passedOn = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM,
	unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGWINCH, unix.SIGTSTP,
}

// signals are the signals that this process gets.
type signals struct {
	all chan os.Signal
}

// catchSignals catches every signal that means something to a run. One that
// was ignored when this process started stays ignored, for the command too.
func catchSignals() *signals {
	s := &signals{all: make(chan os.Signal, 64)}
	for _, sig := range append([]os.Signal{unix.SIGCONT, unix.SIGPIPE}, passedOn...) {
		if guard.IsIgnored(sig) {
			signal.Ignore(sig)
		} else {
			signal.Notify(s.all, sig)
		}
	}
	return s
}

func (s *signals) caught() <-chan os.Signal { return s.all }

// reset gives a signal its default back.
func (s *signals) reset(sig syscall.Signal) {
	signal.Stop(s.all)
	signal.Reset(sig)
}

// signalled passes a signal on to the command.
func (f *front) signalled(sig os.Signal) {
	switch sig {
	case unix.SIGCONT:
		f.resume()
	case unix.SIGPIPE:
		// Nobody reads what this process says. The command does not care.
	case unix.SIGWINCH:
		if !f.handed { // Else the terminal has told the command itself.
			_ = f.guard.Signal(unix.SIGWINCH)
		}
	default:
		_ = f.guard.Signal(sig.(syscall.Signal)) // A guard that is gone says so by its events.
	}
}
