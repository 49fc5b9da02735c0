package cli

import (
	"context"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stilelock/stile/cmd/stile/internal/guard"
	"github.com/stilelock/stile/cmd/stile/internal/hold"
	"github.com/stilelock/stile/cmd/stile/internal/tty"
)

const (
	// keepPatience bounds the wait for the guard to take the lease over, before
	// this process is stopped.
	keepPatience = 2 * time.Second
	// continuePatience is how long SIGCONT may take to arrive after it has
	// continued this process.
	continuePatience = 50 * time.Millisecond
)

// A takeBack is the outcome of an attempt to take the lease back from the guard.
type takeBack struct {
	hold *hold.Hold
	err  error
}

// wantsTerminal reports whether the command gets the terminal from the start:
// it reads and writes the terminal, and is a job of its own in the foreground.
// In all other cases it gets it when it first asks for it. So Ctrl-C in a
// script reaches the script as well, and in a pipeline every part of it.
func (f *front) wantsTerminal() bool {
	return f.tty.IsMine() && tty.IsControlling(0) && tty.IsControlling(1) && unix.Getpgrp() == unix.Getpid()
}

// suspend does what job control wants when the command was stopped: either it
// only lacks the terminal, or this process stops as well, so that the shell
// sees a stopped job.
func (f *front) suspend(sig syscall.Signal) {
	wantsTTY := sig == unix.SIGTTIN || sig == unix.SIGTTOU
	switch {
	case f.tty == nil:
		return // No shell could continue this process. Who stopped the command continues it.
	case wantsTTY && f.tty.IsMine():
		f.giveTerminal()
		_ = f.guard.Signal(unix.SIGCONT)
		return
	}
	f.letGuardKeep()
	if f.last != nil {
		return
	}
	f.owed = f.owed || wantsTTY
	if f.handed && !f.shellHasTerminal() {
		_ = f.tty.Take() // If it is gone, there is nothing to take.
	}
	f.handed = false
	_ = tty.Stop(sig) // It falls back by itself.
	f.awaitContinue()
	f.resume()
}

func (f *front) giveTerminal() {
	if f.tty.Give(f.group) == nil {
		f.handed, f.owed = true, true
	}
}

// shellHasTerminal reports whether the shell has taken the terminal: it has
// seen this process stop.
func (f *front) shellHasTerminal() bool {
	shell, err := unix.Getpgid(unix.Getppid())
	return err == nil && shell != unix.Getpgrp() && f.tty.Foreground() == shell
}

// awaitContinue takes the SIGCONT that has continued this process out of the
// signals: seen later, it would continue what a second Ctrl-Z has stopped. What
// else came is kept in order.
func (f *front) awaitContinue() {
	timer := time.NewTimer(continuePatience)
	defer timer.Stop()
	var others []os.Signal
	for waiting := true; waiting; {
		select {
		case sig := <-f.signals.all:
			switch sig {
			case unix.SIGCONT:
				waiting = false
			case unix.SIGTSTP: // Our own, where it is caught too.
			default:
				others = append(others, sig)
			}
		case <-timer.C:
			waiting = false // It never stopped: nobody could have continued it.
		}
	}
	for _, sig := range others {
		f.signalled(sig)
	}
}

// resume continues the command, in the foreground if this process is there.
func (f *front) resume() {
	f.handed = f.handed && !f.shellHasTerminal()
	if f.owed && f.tty.IsMine() {
		f.giveTerminal()
	}
	_ = f.guard.Signal(unix.SIGCONT)
	if f.hold != nil || f.taking != nil || f.last != nil {
		return
	}
	// While this process was stopped the deadline has moved on unseen. Its
	// answer brings the present one.
	_ = f.guard.Keep()
	f.awaitKept(guardPatience)
	taking := make(chan takeBack, 1)
	storeURL, handle := f.storeURL, f.handle
	go func() { // Ends with its patience; release waits for it.
		ctx, cancel := context.WithTimeout(context.Background(), attachPatience)
		defer cancel()
		h, err := hold.Attach(ctx, storeURL, handle)
		taking <- takeBack{h, err}
	}()
	f.taking = taking
}

// tookBack takes in the outcome of an attempt to take the lease back.
func (f *front) tookBack(back takeBack) {
	f.taking = nil
	if back.err != nil {
		f.sayf("key %q: %v; the guard process goes on renewing", f.key, back.err)
		return
	}
	f.hold = back.hold
	f.moveDeadline(guard.Deadline(f.hold))
	_ = f.guard.Extend(f.deadline)
	_ = f.guard.Mine()
}

// letGuardKeep has the guard renew the lease, because this process is about to
// be stopped.
func (f *front) letGuardKeep() {
	if f.taking != nil { // The guard still keeps it.
		if back := <-f.taking; back.err == nil {
			back.hold.Abandon()
		}
		f.taking = nil
	}
	if f.hold == nil {
		return
	}
	_ = f.guard.Keep()
	kept, text := f.awaitKept(keepPatience)
	switch {
	case f.last != nil:
	case kept && text == "":
		f.hold.Abandon()
		f.hold = nil
	case kept:
		f.warnf("key %q: the lease cannot be kept while stopped, and the command is ended in time unless it is continued: %s", f.key, text)
	default:
		f.warnf("key %q: the lease cannot be kept while stopped, and the command is ended in time unless it is continued: the store does not answer", f.key)
	}
}

// awaitKept waits for the guard's answer to Keep.
func (f *front) awaitKept(patience time.Duration) (kept bool, text string) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for f.last == nil {
		select {
		case event, ok := <-f.guard.Events():
			switch {
			case ok && event.Kind == guard.Kept:
				f.moveDeadline(event.Deadline)
				return true, event.Text
			case ok && event.Kind == guard.Stopped:
				continue // It is being stopped, or continued, already.
			}
			f.told(event, ok)
		case <-timer.C:
			return false, ""
		}
	}
	return false, ""
}

// reclaimTerminal puts the terminal in order when the command has ended.
func (f *front) reclaimTerminal() {
	if f.tty == nil || !f.handed || f.shellHasTerminal() {
		f.handed = false
		return
	}
	if f.tty.Take() != nil {
		return
	}
	if f.last.Kind == guard.Gone || f.last.Wait.Signaled() {
		f.tty.Restore() // The command had no time for it.
	}
	if unix.Getpgrp() != unix.Getpid() {
		_ = unix.Kill(0, unix.SIGCONT) // Others of this group may have been stopped for want of the terminal.
	}
}

// endLike ends this process by SIGINT if that ended the command and the shell
// around it may be a script: a script that sees its command ended by Ctrl-C
// ends too, and the status that a shell reports is the same. A process that
// leads its session has no shell around it.
func (f *front) endLike(sig syscall.Signal) {
	session, err := unix.Getsid(0)
	if sig != unix.SIGINT || err != nil || session == unix.Getpid() || !f.tty.IsMine() || guard.IsIgnored(sig) {
		return
	}
	f.guard.Close()
	f.signals.reset(sig)
	to := unix.Getpid()
	if f.handed {
		to = 0 // The terminal's Ctrl-C went to the command's group, and to none of this one.
	}
	_ = unix.Kill(to, sig)
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	<-timer.C // If it does not end this process, the exit status does.
}
