package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// preparePatience bounds the first message: the guard is only starting.
	preparePatience = 10 * time.Second
	// tellPatience bounds every other message to a guard that may be frozen.
	tellPatience = time.Second
	// leavePatience bounds the wait for a guard that has nothing left to do.
	leavePatience = time.Second
	// tailPause is the pause between two looks for processes that are left.
	tailPause = 5 * time.Millisecond
)

// A Command is what to run.
type Command struct {
	// Path is the program's file, and Args its arguments, the name first.
	Path string
	Args []string
	// Env is its environment, but for what its lease adds.
	Env []string
	// Rule says how it is ended.
	Rule Rule
}

// A Start is what is only known once the lease is granted.
type Start struct {
	// Env is added to the environment.
	Env []string
	// Foreground gives the terminal, which is standard input, to the command
	// before it runs.
	Foreground bool
	// Deadline is the lease's.
	Deadline Instant
	// Store and Handle let the guard take the lease over.
	Store, Handle string
}

// An EventKind says what the guard tells.
type EventKind string

// The events of a command's life. Exited, Failed and Gone are the last.
const (
	// Started: the command runs. Pid.
	Started = EventKind(kindStarted)
	// Failed: it could not be started. Status (126 or 127), Text.
	Failed = EventKind(kindFailed)
	// Stopped: job control stopped it. Signal.
	Stopped = EventKind(kindStopped)
	// Exited: it ended by itself. Wait, At; Released if the guard kept the
	// lease, and Text if it could not release it.
	Exited = EventKind(kindExited)
	// Ending: it was told to end, because of the lease.
	Ending = EventKind(kindEnding)
	// Gone: it was ended, with all its descendants but Survivors. Wait, At,
	// Released and Text as with Exited.
	Gone = EventKind(kindGone)
	// Kept: the guard keeps the lease renewed, or Text says why it cannot.
	// Deadline.
	Kept = EventKind(kindKept)
	// Moved: the guard has renewed the lease that it keeps. Deadline.
	Moved = EventKind(kindDeadline)
)

// An Event is what the guard tells. Which fields are set is said at each kind.
type Event struct {
	Kind      EventKind
	Pid       int
	Signal    syscall.Signal
	Status    int
	Wait      syscall.WaitStatus
	At        Instant
	Deadline  Instant
	Text      string
	Survivors []int
	Released  bool
}

// A Guard is the front's side of a guard process. Its methods may be called
// by many goroutines at once. Close it.
type Guard struct {
	pid    int
	link   *link
	events chan Event
	quit   chan struct{}
	work   sync.WaitGroup

	close    sync.Once
	prepared chan struct{} // closed when the guard has been sent the command
}

// New starts a guard process, which is this program's file run anew with the
// environment env, and tells it the command in the background. It costs next to
// nothing until Run. On Linux this process adopts, from now on, the orphans
// among its descendants.
func New(env []string, command *Command) (*Guard, error) {
	if err := adoptOrphans(); err != nil {
		return nil, fmt.Errorf("adopt orphans: %w", err)
	}
	pair, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("open link to guard: %w", err)
	}
	defer func() { _ = pair[1].Close() }() // It is the guard's end.
	l, err := newLink(pair[0])
	if err != nil {
		return nil, err
	}
	self, err := executableOfSelf()
	if err != nil {
		l.close()
		return nil, err
	}
	pid, err := syscall.ForkExec(self, []string{"stile", argument}, &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{0, 1, 2, pair[1].Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		l.close()
		return nil, fmt.Errorf("start guard process: %w", err)
	}
	g := &Guard{
		pid: pid, link: l, events: make(chan Event, 16), quit: make(chan struct{}), prepared: make(chan struct{}),
	}
	messages := make(chan *message)
	g.work.Go(func() { l.receive(messages, g.quit) })
	g.work.Go(func() { g.translate(messages) })
	g.work.Go(func() {
		defer close(g.prepared)
		_ = l.send(&message{ // If it fails, Run fails.
			Kind: kindPrepare, Raw: toBytes(append([]string{command.Path}, command.Args...)),
			Env: toBytes(command.Env), Rule: command.Rule,
		}, preparePatience)
	})
	return g, nil
}

// socketPair returns two ends of a socket that no other process inherits.
func socketPair() (ends [2]*os.File, err error) {
	syscall.ForkLock.RLock() // Between the next two calls nobody may fork.
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return ends, err //nolint:wrapcheck // The caller says what it was for.
	}
	return [2]*os.File{os.NewFile(uintptr(fds[0]), "link"), os.NewFile(uintptr(fds[1]), "link")}, nil
}

// Pid is the guard's process.
func (g *Guard) Pid() int { return g.pid }

// Events tells what happens to the command. It is closed when the guard is
// gone.
func (g *Guard) Events() <-chan Event { return g.events }

func (g *Guard) translate(messages <-chan *message) {
	defer close(g.events)
	for m := range messages {
		e := Event{
			Kind: EventKind(m.Kind), Pid: m.Pid, Signal: syscall.Signal(m.Signal), Status: m.Code,
			Wait: syscall.WaitStatus(m.Status), At: m.At, Deadline: m.Deadline, Text: m.Text, Survivors: m.Pids, Released: m.Released,
		}
		select {
		case g.events <- e:
		case <-g.quit:
			return
		}
	}
}

// Run starts the command. The answer is an event: Started, Failed or Gone. An
// error means that the guard is not there any more.
func (g *Guard) Run(s *Start) error {
	return g.tell(&message{
		Kind: kindStart, Env: toBytes(s.Env), Foreground: s.Foreground,
		Deadline: s.Deadline, Store: s.Store, Handle: s.Handle,
	})
}

// Extend tells the guard a new deadline.
func (g *Guard) Extend(deadline Instant) error {
	return g.tell(&message{Kind: kindDeadline, Deadline: deadline})
}

// Signal sends a signal to the command's group.
func (g *Guard) Signal(sig syscall.Signal) error {
	return g.tell(&message{Kind: kindSignal, Signal: int(sig)})
}

// Stop ends the command, because its lease is lost.
func (g *Guard) Stop() error { return g.tell(&message{Kind: kindStop}) }

// Keep asks the guard to renew the lease from now on. The answer is the event
// Kept.
func (g *Guard) Keep() error { return g.tell(&message{Kind: kindKeep}) }

// Mine tells the guard that the caller renews the lease again.
func (g *Guard) Mine() error { return g.tell(&message{Kind: kindMine}) }

// Done tells the guard that the lease is released.
func (g *Guard) Done() error { return g.tell(&message{Kind: kindDone}) }

func (g *Guard) tell(m *message) error {
	<-g.prepared // The first message comes first. Its patience bounds this.
	return g.link.send(m, tellPatience)
}

// KillDescendants is for a caller whose guard is dead or does not react: it
// sends SIGKILL to all of the caller's descendants but the guard, on Linux, and
// to the command's group elsewhere, and returns those that were alive. A
// process that is born meanwhile may be missed: call it until nothing is left.
func (g *Guard) KillDescendants(group int) (alive []int) {
	return killBelow(group, g.pid)
}

// Close lets go of the guard, which then ends by itself: at once if its
// command has ended or was never started. One that has not after a second is
// ended. Close is idempotent.
func (g *Guard) Close() { g.close.Do(g.leave) }

func (g *Guard) leave() {
	close(g.quit)
	g.link.close()
	g.work.Wait()
	deadline := time.Now().Add(leavePatience)
	for nap := tailPause / 32; !g.reaped(); nap = min(2*nap, tailPause) {
		if time.Now().After(deadline) {
			_ = unix.Kill(g.pid, unix.SIGKILL) // It is our child, and not reaped yet.
		}
		pause(nap)
	}
}

// reaped reports whether the guard process is gone and collected.
func (g *Guard) reaped() bool {
	var status unix.WaitStatus
	pid, err := unix.Wait4(g.pid, &status, unix.WNOHANG, nil)
	return pid == g.pid || (err != nil && !errors.Is(err, unix.EINTR))
}

// End ends the guard process itself, which does not react or is dead already,
// and collects it and all that this process has inherited from it. It is false
// if some of that still lives when ctx ends.
func (g *Guard) End(ctx context.Context, group int) (alive []int) {
	_ = unix.Kill(g.pid, unix.SIGKILL) // It is our child, and not reaped yet.
	for {
		alive = g.KillDescendants(group)
		if childrenLeft := reap(func(change) {}); !childrenLeft && len(alive) == 0 || ctx.Err() != nil {
			return alive
		}
		pause(tailPause)
	}
}

// pause waits for something that gives no sign when it happens.
func pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}
