package guard

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// argument is the first argument of a guard process. It is never typed.
	argument = "guard-of-stile-run"
	// linkFD is where a guard process finds its socket.
	linkFD = 3
	// longestSleep bounds a timer: Go's timers stand still while the machine
	// is suspended, and the clock of deadlines does not.
	longestSleep = 500 * time.Millisecond
	// killPause is the pause between two rounds of SIGKILL.
	killPause = 5 * time.Millisecond
	// giveUpAfter is how long after the deadline the guard goes on with
	// processes that it cannot end.
	giveUpAfter = 5 * time.Second
	// answerPatience bounds a write to the front, which may be frozen. The
	// socket takes many messages before it makes anybody wait.
	answerPatience = 50 * time.Millisecond
	// passOnPatience bounds the attempt to pass the key on early after the
	// front's death.
	passOnPatience = 2 * time.Second
)

// A Hold is a lease that this process keeps renewed.
type Hold interface {
	// Renewed gets a value after the deadline has moved. It is never closed.
	Renewed() <-chan struct{}
	// Remaining is the time to the deadline; 0 when the lease is over.
	Remaining() time.Duration
	// Done is closed when the lease is over.
	Done() <-chan struct{}
	// Release passes the key on and lets go of the store.
	Release(ctx context.Context) error
	// Abandon stops renewing, and lets go of the store.
	Abandon()
}

// An Adopter takes a lease over by its handle.
type Adopter func(ctx context.Context, store, handle string) (Hold, error)

// Deadline returns the deadline of a hold on the clock of this package. It is
// never later than the lease's own: the clock is read first.
func Deadline(h Hold) Instant {
	now := Now()
	return now.Add(h.Remaining())
}

// IsGuard reports whether this process was started to be a guard. Then it
// calls Main and nothing else.
func IsGuard(args []string) bool { return len(args) > 1 && args[1] == argument }

// Main is a guard process. It returns its exit status, which nobody reads.
func Main(adopt Adopter) int {
	runtime.LockOSThread() // The command dies with the thread that started it.
	file := os.NewFile(linkFD, "link")
	if file == nil {
		return 1
	}
	l, err := newLink(file)
	if err != nil {
		return 1 // Somebody typed the argument.
	}
	if err := adoptOrphans(); err != nil {
		return 1
	}
	g := &guard{link: l, adopt: adopt, quit: make(chan struct{}), adopted: make(chan adoption, 1)}
	defer g.close()
	g.loop()
	return 0
}

// A phase is where a guard's one command is in its life.
type phase int

const (
	idle    phase = iota // not started yet
	running              // under its lease
	ending               // it got SIGTERM
	killing              // it gets SIGKILL, again and again
	over                 // it has ended, or could not be started
)

// A guard is the state of a guard process. One goroutine, its loop, owns it.
type guard struct {
	link  *link
	adopt Adopter
	quit  chan struct{}

	phase    phase
	path     string
	args     []string
	env      []string
	rule     Rule
	pid      int // the command; 0 once it is reaped
	group    int // its group, which has the same number and may outlive it
	status   unix.WaitStatus
	deadline Instant
	killAt   Instant
	giveUpAt Instant

	orphaned bool // the front is gone
	done     bool // the front has released the lease
	store    string
	handle   string
	hold     Hold // not nil while this process keeps the lease
	adopting bool
	adopted  chan adoption
	work     sync.WaitGroup // what runs in the background
}

// An adoption is the outcome of an attempt to take the lease over.
type adoption struct {
	hold Hold
	err  error
}

// close waits, for a bounded time, for what runs in the background, so that it
// is not cut off in the middle of a write to the store.
func (g *guard) close() {
	close(g.quit)
	g.abandon()
	finished := make(chan struct{})
	go func() { // Ends with the process at the latest.
		g.work.Wait()
		close(finished)
	}()
	timer := time.NewTimer(passOnPatience)
	defer timer.Stop()
	select {
	case <-finished:
	case <-timer.C:
	}
	g.link.close()
}

func (g *guard) loop() {
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	others := make(chan os.Signal, 1) // Never read: what is sent to the guard alone is not for it.
	for _, sig := range shielded {
		if IsIgnored(sig) {
			signal.Ignore(sig) // For the command too.
		} else {
			signal.Notify(others, sig) // Caught and not ignored: the command starts with the default.
		}
	}
	messages := make(chan *message)
	go g.link.receive(messages, g.quit) // Ends when close closes the link.
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for !g.finished() {
		g.arm(timer)
		select {
		case m, ok := <-messages:
			if !ok {
				messages = nil
				g.orphaned = true
				g.end()
				break
			}
			g.obey(m)
		case <-children:
		case <-timer.C:
		case a := <-g.adopted:
			g.took(a)
		case <-g.renewed():
			g.moveDeadline(Deadline(g.hold))
			g.say(&message{Kind: kindDeadline, Deadline: g.deadline})
		case <-g.lost():
			g.abandon()
			g.end()
		}
		g.collect()
		g.act()
	}
	if g.orphaned {
		g.passOn()
	}
}

// finished reports whether nothing is left to watch, and nobody to tell.
func (g *guard) finished() bool {
	return g.orphaned && (g.phase == idle || g.phase == over)
}

func (g *guard) renewed() <-chan struct{} {
	if g.hold == nil {
		return nil
	}
	return g.hold.Renewed()
}

func (g *guard) lost() <-chan struct{} {
	if g.hold == nil {
		return nil
	}
	return g.hold.Done()
}

// arm sets the timer to the next moment that the rule names.
func (g *guard) arm(timer *time.Timer) {
	switch g.phase {
	case idle, over:
		timer.Stop() // Nothing is held: an idle guard costs nothing.
	case running:
		timer.Reset(min(g.rule.TermAt(g.deadline).Sub(Now()), longestSleep))
	case ending:
		timer.Reset(min(g.killAt.Sub(Now()), longestSleep))
	case killing:
		timer.Reset(killPause)
	}
}

// act does what is due.
func (g *guard) act() {
	now := Now()
	if g.phase == running && now >= g.rule.TermAt(g.deadline) {
		g.end()
	}
	if g.phase == ending && now >= g.killAt {
		g.phase = killing
	}
	if g.phase == killing {
		alive := g.killTree()
		g.collect()
		if g.phase == killing && now >= g.giveUpAt {
			g.gone(alive)
		}
	}
}

// end tells the command to end: its lease is lost, or cannot be renewed in
// time, or nobody is there to renew it.
func (g *guard) end() {
	if g.phase != running {
		return
	}
	now := Now()
	g.phase = ending
	g.killAt = g.rule.KillSoonAt(now, g.deadline)
	g.giveUpAt = max(g.deadline, now).Add(giveUpAfter)
	if now < g.killAt { // Else SIGTERM would only be a race that SIGKILL wins.
		g.signalCommand(unix.SIGTERM)
		g.signalCommand(unix.SIGCONT)
		termOutside(g.group)
	}
	g.say(&message{Kind: kindEnding})
}

// collect takes in what has happened to the children.
func (g *guard) collect() {
	left := reap(func(c change) {
		if c.pid != g.pid {
			return // A descendant whose parent has ended.
		}
		switch {
		case c.status.Stopped():
			g.say(&message{Kind: kindStopped, Signal: int(c.status.StopSignal())})
		case c.status.Exited(), c.status.Signaled():
			g.pid, g.status = 0, c.status
			if g.phase == running {
				g.phase = over
				g.conclude(&message{Kind: kindExited, Status: uint32(c.status), At: Now()})
			}
		}
	})
	if (g.phase == ending || g.phase == killing) && g.treeGone(left) {
		g.gone(nil)
	}
}

// gone tells that the command and its descendants have ended, but for those
// that could not be ended.
func (g *guard) gone(survivors []int) {
	g.phase = over
	g.conclude(&message{Kind: kindGone, Status: uint32(g.status), At: Now(), Pids: survivors})
}

// conclude says the last word on the command. If this process keeps the lease,
// it passes the key on before: the front may be stopped for long, and nothing
// runs under the lease any more.
func (g *guard) conclude(m *message) {
	if g.hold == nil {
		g.say(m)
		return
	}
	hold := g.hold
	g.hold, g.done = nil, true
	g.work.Go(func() { // Ends with its patience; close waits for it.
		ctx, cancel := context.WithTimeout(context.Background(), passOnPatience)
		defer cancel()
		m.Released = true
		if err := hold.Release(ctx); err != nil {
			m.Text = err.Error()
		}
		g.say(m)
	})
}

// abandon stops renewing, in the background: it may take a moment.
func (g *guard) abandon() {
	if g.hold != nil {
		g.work.Go(g.hold.Abandon)
		g.hold = nil
	}
}

func (g *guard) obey(m *message) {
	switch m.Kind {
	case kindPrepare:
		raw := toStrings(m.Raw)
		g.path, g.args, g.env, g.rule = raw[0], raw[1:], toStrings(m.Env), m.Rule
	case kindStart:
		if g.phase == idle {
			g.start(m)
		}
	case kindDeadline:
		g.moveDeadline(m.Deadline)
	case kindSignal:
		g.signalCommand(unix.Signal(m.Signal))
	case kindStop:
		g.end()
	case kindKeep:
		if g.hold != nil {
			g.say(&message{Kind: kindKept})
		} else {
			g.adoptLease()
		}
	case kindMine:
		g.abandon()
	case kindDone:
		g.done = true
	case kindStarted, kindFailed, kindStopped, kindExited, kindEnding, kindGone, kindKept:
		// The guard's own words. No front says them.
	}
}

func (g *guard) start(m *message) {
	g.deadline, g.store, g.handle = m.Deadline, m.Store, m.Handle
	if Now() >= g.rule.TermAt(m.Deadline) {
		g.phase = over
		g.say(&message{Kind: kindGone, At: Now()}) // Too late to begin.
		return
	}
	pid, err := start(g.path, g.args, slices.Concat(g.env, toStrings(m.Env)), m.Foreground)
	if err != nil {
		failed := &message{Kind: kindFailed, Code: StatusNotExecutable, Text: err.Error()}
		if start, ok := err.(*StartError); ok { //nolint:errorlint // It comes from start itself.
			failed.Code = start.Status
		}
		g.phase = over
		g.say(failed)
		return
	}
	g.phase, g.pid, g.group = running, pid, pid
	g.say(&message{Kind: kindStarted, Pid: pid, At: Now()})
}

// moveDeadline moves the deadline on. Front and guard may both renew for a
// while, so an older one may come after a newer one.
func (g *guard) moveDeadline(to Instant) { g.deadline = max(g.deadline, to) }

// signalCommand signals the command's group while it is surely the command's.
func (g *guard) signalCommand(sig unix.Signal) {
	if g.pid > 1 {
		_ = unix.Kill(-g.pid, sig) // Who has gone, or is not ours to signal, is looked after by the rule.
	}
}

// adoptLease takes the lease over, in the background: the store may be slow,
// and the deadline is not.
func (g *guard) adoptLease() {
	if g.adopting {
		return
	}
	g.adopting = true
	patience := max(g.rule.TermAt(g.deadline).Sub(Now()), killPause)
	store, handle := g.store, g.handle
	g.work.Go(func() { // Ends with its patience; close waits for it.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		hold, err := g.adopt(ctx, store, handle)
		g.adopted <- adoption{hold, err} // There is room: one attempt at a time.
	})
}

func (g *guard) took(a adoption) {
	g.adopting = false
	kept := &message{Kind: kindKept}
	switch {
	case a.err != nil:
		kept.Text = a.err.Error()
	case g.phase == over:
		g.hold = a.hold // It came too late to be of use.
		g.abandon()
		return
	default:
		g.hold = a.hold
		g.moveDeadline(Deadline(g.hold))
		kept.Deadline = g.deadline
	}
	g.say(kept)
}

// passOn releases the lease of a front that died, so that the next in line
// need not wait until it expires. If that fails, it expires.
func (g *guard) passOn() {
	if g.done || g.handle == "" || Now() >= g.deadline {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), passOnPatience)
	defer cancel()
	if g.hold == nil && g.adopting {
		select {
		case a := <-g.adopted:
			g.adopting = false
			g.hold = a.hold
		case <-ctx.Done():
			return
		}
	}
	if g.hold == nil {
		hold, err := g.adopt(ctx, g.store, g.handle)
		if err != nil {
			return
		}
		g.hold = hold
	}
	_ = g.hold.Release(ctx) // Nobody is there to be told.
	g.hold = nil
}

// say tells the front. If it does not listen, the rule goes on without it.
func (g *guard) say(m *message) { _ = g.link.send(m, answerPatience) }
