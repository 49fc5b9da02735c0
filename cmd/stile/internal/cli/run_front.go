package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/cmd/stile/internal/guard"
	"github.com/stilelock/stile/cmd/stile/internal/hold"
	"github.com/stilelock/stile/cmd/stile/internal/tty"
)

const (
	// longestSleep bounds a timer: Go's timers stand still while the machine is
	// suspended, and the clock of deadlines does not.
	longestSleep = 500 * time.Millisecond
	// guardPatience is how long the front helps a guard that does not finish
	// in time before it does the guard's work itself.
	guardPatience = 500 * time.Millisecond
	// killPatience bounds the front's own attempt to end what is left.
	killPatience = 5 * time.Second
	// attachPatience bounds an attempt to take the lease back.
	attachPatience = 5 * time.Second
)

// A front is `stile run` itself: it holds the lease, has the terminal, and
// answers for the exit status. One goroutine, that of runCommand, owns it.
type front struct {
	env      *env
	flags    *runFlags
	key      string
	storeURL string
	command  *guard.Command
	guardEnv []string
	guard    *guard.Guard
	signals  *signals
	tty      *tty.Terminal

	hold     *hold.Hold // nil while the guard keeps the lease
	handle   string
	granted  guard.Instant // when the grant was seen
	deadline guard.Instant
	group    int // the command's process group; 0 before it runs

	owed   bool          // the command's group gets the terminal whenever ours has it
	handed bool          // it has the terminal
	taking chan takeBack // not nil while the lease is being taken back from the guard

	lost    error         // why the lease was lost; nil while it is not
	lostAt  guard.Instant // when that was seen
	problem error         // why the last try to renew failed
	last    *guard.Event  // how the command ended
}

// runCommand runs the command under the key and returns what to exit with.
func runCommand(e *env, flags *runFlags, key string, args []string) error {
	// A front waits, and what it does now and then is one thing after another:
	// more threads would only wake each other up for it.
	runtime.GOMAXPROCS(1)
	sig := catchSignals()
	path, err := guard.Find(args[0], e.getenv("PATH"))
	if err != nil {
		return startFailed(err)
	}
	storeURL, err := flags.store.resolve()
	if err != nil {
		return err
	}
	environ := withoutStore(os.Environ())
	f := &front{
		env: e, flags: flags, key: key, storeURL: storeURL, signals: sig, guardEnv: environ,
		command: &guard.Command{Path: path, Args: args, Env: environ, Rule: guard.NewRule(flags.leaseTTL(), flags.killAfter)},
	}
	if got := f.command.Rule.KillAfter; got < flags.killAfter {
		f.sayf("--kill-after %v is more than a third of the TTL: using %v", flags.killAfter, got)
	}
	// The guard starts while this process opens the store and stands in line,
	// so that from the grant to the command there is only a message.
	if f.guard, err = guard.New(f.guardEnv, f.command); err != nil {
		return &exitError{guard.StatusNotExecutable, err}
	}
	defer func() { f.guard.Close() }()
	if err := f.wait(); err != nil {
		return err
	}
	return f.supervise()
}

func startFailed(err error) error {
	var start *guard.StartError
	if errors.As(err, &start) {
		return &exitError{start.Status, errors.New(clean(start.Reason))}
	}
	return &exitError{guard.StatusNotExecutable, err}
}

// withoutStore takes the store's URL out of an environment: it may hold a
// password, and the command has no need of it.
func withoutStore(environ []string) []string {
	kept := make([]string, 0, len(environ))
	for _, variable := range environ {
		if !strings.HasPrefix(variable, storeVariable+"=") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// sayf prints a line with --verbose.
func (f *front) sayf(format string, args ...any) {
	if f.flags.verbose {
		f.warnf(format, args...)
	}
}

// warnf prints a line.
func (f *front) warnf(format string, args ...any) {
	fmt.Fprintf(f.env.stderr, "stile: %s\n", oneLine(fmt.Sprintf(format, args...)))
}

// supervise runs the command, from the grant to the release.
func (f *front) supervise() error {
	f.tty = tty.Open()
	defer f.tty.Close()
	if err := f.start(); err != nil {
		return errors.Join(err, f.release())
	}
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for f.last == nil {
		timer.Reset(min(max(f.backstop().Sub(guard.Now()), time.Millisecond), longestSleep))
		select {
		case event, ok := <-f.guard.Events():
			f.told(event, ok)
		case sig := <-f.signals.caught():
			f.signalled(sig)
		case <-f.renewed():
			f.moveDeadline(guard.Deadline(f.hold))
			_ = f.guard.Extend(f.deadline) // A guard that is gone says so by its events.
		case <-f.over():
			f.leaseOver()
		case back := <-f.taking:
			f.tookBack(back)
		case <-timer.C:
			if guard.Now() >= f.backstop() {
				f.takeOver()
			}
		}
	}
	return f.finish()
}

func (f *front) renewed() <-chan struct{} {
	if f.hold == nil {
		return nil
	}
	return f.hold.Renewed()
}

func (f *front) over() <-chan struct{} {
	if f.hold == nil || f.lost != nil {
		return nil
	}
	return f.hold.Done()
}

// backstop is when the front ends the command itself, if the guard has not: it
// must be frozen.
func (f *front) backstop() guard.Instant {
	return f.deadline.Add(-f.command.Rule.Reserve / 2)
}

func (f *front) moveDeadline(to guard.Instant) { f.deadline = max(f.deadline, to) }

// start tells the guard to run the command, and waits until it does.
func (f *front) start() error {
	lease := f.hold.Lease
	f.handle = lease.Handle()
	f.granted, f.deadline = guard.Now(), guard.Deadline(f.hold)
	f.owed = f.wantsTerminal()
	f.tty.Save()
	order := &guard.Start{
		Env: []string{
			"STILE_KEY=" + f.key,
			"STILE_TOKEN=" + strconv.FormatUint(lease.Token(), 10),
			"STILE_LEASE=" + lease.ID().String(),
			"STILE_DEADLINE=" + lease.Deadline().UTC().Format(time.RFC3339Nano),
		},
		Foreground: f.owed, Deadline: f.deadline, Store: f.storeURL, Handle: f.handle,
	}
	f.sayf("key %q granted after %v: token %d, lease %s", f.key, lease.Waited().Round(time.Millisecond), lease.Token(), lease.ID())
	if err := f.guard.Run(order); err != nil {
		// It was killed while it waited. It had nothing to guard yet.
		f.guard.Close()
		fresh, err := guard.New(f.guardEnv, f.command)
		if err != nil {
			return &exitError{guard.StatusNotExecutable, err}
		}
		f.guard = fresh
		if err := f.guard.Run(order); err != nil {
			return &exitError{guard.StatusNotExecutable, fmt.Errorf("start command: %w", err)}
		}
	}
	f.handed = f.owed
	// No signal is looked at before the command runs: a Ctrl-Z between the two
	// would leave the terminal with a command whose shell has taken it back.
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for f.group == 0 && f.last == nil {
		timer.Reset(longestSleep)
		select {
		case event, ok := <-f.guard.Events():
			f.told(event, ok)
		case <-timer.C:
			if guard.Now() >= f.backstop() {
				f.takeOver()
			}
		}
	}
	return nil
}

// told takes in what the guard tells.
func (f *front) told(event guard.Event, ok bool) {
	if !ok {
		if f.lost == nil {
			f.lost, f.lostAt = errors.New("the guard process was killed"), guard.Now()
		}
		f.endTree()
		return
	}
	switch event.Kind {
	case guard.Started:
		f.group = event.Pid
	case guard.Stopped:
		f.suspend(event.Signal)
	case guard.Moved:
		f.moveDeadline(event.Deadline)
	case guard.Ending:
		f.sayf("key %q: the lease cannot be kept: ending the command", f.key)
	case guard.Failed, guard.Exited, guard.Gone:
		f.last = &event
	case guard.Kept:
		// Asked for in suspend, which reads it itself unless it gave up.
	}
}

// leaseOver ends the command because the lease is lost.
func (f *front) leaseOver() {
	f.lost, f.lostAt = f.hold.Lease.Err(), guard.Now()
	_ = f.guard.Stop() // A guard that is gone says so by its events.
}

// endTree does the work of a guard that is dead, or does not do it.
func (f *front) endTree() {
	ctx, cancel := context.WithTimeout(context.Background(), killPatience)
	defer cancel()
	alive := f.guard.End(ctx, f.group)
	f.last = &guard.Event{Kind: guard.Gone, At: guard.Now(), Survivors: alive}
}

// takeOver ends the command when the guard has not done so in time: the guard
// is frozen, or this process was and there is nothing left to do.
func (f *front) takeOver() {
	end := guard.Now().Add(guardPatience)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for f.last == nil && guard.Now() < end {
		f.guard.KillDescendants(f.group)
		timer.Reset(5 * time.Millisecond)
		select {
		case event, ok := <-f.guard.Events():
			if ok && event.Kind == guard.Stopped {
				continue // Too late for job control.
			}
			f.told(event, ok)
		case <-timer.C:
		}
	}
	if f.last == nil {
		f.endTree()
	}
}

// finish passes the key on, puts the terminal in order and says how it ended.
func (f *front) finish() error {
	released := f.release()
	if f.lost == nil && f.last.Kind == guard.Exited && errors.Is(released, stile.ErrLost) {
		f.lost, f.lostAt = released, guard.Now()
	}
	f.reclaimTerminal()
	switch event := f.last; {
	case event.Kind == guard.Failed:
		return &exitError{event.Status, errors.New(clean(event.Text))}
	case event.Kind == guard.Gone:
		return &exitError{exitLost, fmt.Errorf("key %q: %w; %s", f.key, f.whyLost(), f.whatEnded())}
	case f.lost != nil && !f.covered():
		return &exitError{exitLost, fmt.Errorf("key %q: %w before the command ended by itself", f.key, f.lost)}
	case released != nil && f.lost == nil:
		f.warnf("%v; the key passes on when the lease expires", released)
	}
	return f.ownStatus(f.last.Wait)
}

// covered reports whether a lease that is lost by now covered the command to
// its end: it expired, and that was after.
func (f *front) covered() bool { return f.lostAt >= f.deadline && f.last.At < f.deadline }

// whyLost says why the command was ended for its lease.
func (f *front) whyLost() error {
	switch {
	case f.lost != nil && f.problem == nil:
		return f.lost
	case f.problem == nil && f.flags.maxHold > 0 && f.granted.Add(f.flags.maxHold).Sub(f.deadline) < f.command.Rule.Reserve:
		return fmt.Errorf("%w: its maximum hold of %v is over", stile.ErrLost, f.flags.maxHold)
	case f.problem != nil:
		return fmt.Errorf("%w: it could not be renewed in time: %w", stile.ErrLost, f.problem)
	default:
		return fmt.Errorf("%w: it could not be renewed in time", stile.ErrLost)
	}
}

// whatEnded says what became of the command.
func (f *front) whatEnded() string {
	switch {
	case len(f.last.Survivors) > 0:
		return fmt.Sprintf("these processes could not be ended: %v", f.last.Survivors)
	case f.group == 0:
		return "the command was not started"
	default:
		return "the command was ended"
	}
}

// ownStatus is the command's own exit status.
func (f *front) ownStatus(wait syscall.WaitStatus) error {
	switch {
	case wait.Signaled():
		f.endLike(wait.Signal())
		return &exitError{exitSignal + int(wait.Signal()), nil}
	case wait.ExitStatus() == 0:
		return nil
	default:
		return &exitError{wait.ExitStatus(), nil}
	}
}

// release passes the key on.
func (f *front) release() error {
	if f.taking != nil { // The lease is the guard's, and perhaps ours in a moment.
		f.tookBack(<-f.taking)
	}
	kept := f.last != nil && f.last.Released // The guard had the lease, and has released it.
	var err error
	switch {
	case f.hold != nil:
		f.problem = f.hold.Problem()
		err = f.hold.Release(context.Background()) // It bounds itself, and no signal is to stop it.
		if kept && errors.Is(err, stile.ErrLost) {
			err = nil
		}
	case kept && f.last.Text != "":
		err = errors.New(f.last.Text)
	case !kept:
		err = f.releaseByHandle() // The guard is dead, or lost the lease.
	}
	_ = f.guard.Done() // A guard that is gone has nothing left to do.
	if err == nil {
		f.sayf("key %q released", f.key)
	}
	return err
}

func (f *front) releaseByHandle() error {
	ctx, cancel := context.WithTimeout(context.Background(), attachPatience)
	defer cancel()
	h, err := hold.Attach(ctx, f.storeURL, f.handle)
	if err != nil {
		return err
	}
	return h.Release(ctx)
}
