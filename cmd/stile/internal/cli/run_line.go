package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/cmd/stile/internal/hold"
	"github.com/stilelock/stile/cmd/stile/internal/tty"
)

const (
	// lookAfter is how long a run waits before it says that it waits.
	lookAfter = 250 * time.Millisecond
	// lookEvery is the time between two looks at the line.
	lookEvery = time.Second
	// lookPatience bounds one look.
	lookPatience = 2 * time.Second
)

// errSignal ends the wait: somebody does not want it any more.
var errSignal = errors.New("signal while waiting")

// A granted is the outcome of standing in line.
type granted struct {
	hold *hold.Hold
	err  error
}

// A stay is one stay in line.
type stay struct {
	front   *front
	since   time.Time
	opened  chan *hold.Store
	outcome chan granted
	looks   chan string
	live    bool // on a terminal: one line, drawn over and over
	drawn   bool
}

// wait opens the store and stands in line until the key is granted.
func (f *front) wait() error {
	options := f.flags.options()
	begun := time.Now()
	for {
		err := f.waitOnce(options)
		if err != nil || f.hold.Lease.Err() == nil {
			return err
		}
		// This process was stopped, from the outside or by Ctrl-Z, for longer
		// than the lease lives. Nothing ran: it may simply ask again.
		_ = f.hold.Release(context.Background()) // It bounds itself; the lease is lost anyway.
		f.sayf("key %q: granted and lost while this process was stopped; standing in line again", f.key)
		if !f.flags.forever {
			options.Wait = max(f.flags.wait-time.Since(begun), time.Nanosecond)
		}
	}
}

func (f *front) waitOnce(options *stile.Options) error {
	ctx, leave := context.WithCancelCause(context.Background())
	defer leave(nil)
	l := &stay{
		front: f, since: time.Now(), opened: make(chan *hold.Store, 1), outcome: make(chan granted, 1), looks: make(chan string, 1),
		live: !f.flags.quiet && isTerminal(f.env.stderr),
	}
	go l.stand(ctx, options) // Ends with its outcome, which a second signal does not wait for.
	lookCtx, stopLooking := context.WithCancel(ctx)
	looked := make(chan struct{})
	go func() { // Ends with lookCtx.
		defer close(looked)
		l.look(lookCtx)
	}()
	var by syscall.Signal
	for {
		select {
		case g := <-l.outcome:
			stopLooking()
			<-looked
			l.clear()
			return f.took(g, by)
		case text := <-l.looks:
			l.draw(text)
		case sig := <-f.signals.caught():
			switch {
			case sig == unix.SIGTSTP:
				l.clear()
				_ = tty.Stop(unix.SIGTSTP) // It falls back by itself.
			case !slices.Contains(leaving, sig):
			case by != 0:
				stopLooking()
				l.clear()
				return &exitError{exitSignal + int(by), nil} // The store does not answer, and somebody is in a hurry.
			default:
				by = sig.(syscall.Signal)
				leave(errSignal)
			}
		}
	}
}

// stand opens the store and asks for the key.
func (l *stay) stand(ctx context.Context, options *stile.Options) {
	store, err := hold.Open(ctx, l.front.storeURL)
	if err != nil {
		close(l.opened)
		l.outcome <- granted{nil, err}
		return
	}
	l.opened <- store
	noWait := !l.front.flags.forever && l.front.flags.wait == 0
	h, err := store.Acquire(ctx, l.front.key, !noWait, options)
	if err != nil {
		err = l.front.describe(ctx, store, err, time.Since(l.since))
		_ = store.Close() // Nothing is held; the error says what matters.
	}
	l.outcome <- granted{h, err}
}

// A busyError says who holds the key that was wanted. It matches stile.ErrBusy.
type busyError struct{ text string }

func (e *busyError) Error() string        { return e.text }
func (e *busyError) Is(target error) bool { return target == stile.ErrBusy }

// describe says of a key that was busy who holds it.
func (f *front) describe(ctx context.Context, store *hold.Store, err error, waited time.Duration) error {
	text := fmt.Sprintf("key %q is busy", f.key)
	var busy *stile.BusyError
	switch {
	case errors.As(err, &busy) && len(busy.Holders) == 0:
		return &busyError{text + ": others wait in line for it"}
	case errors.As(err, &busy):
		state := stile.State{Key: busy.Key, Limit: busy.Limit, Holders: busy.Holders}
		return &busyError{text + ": " + heldBy(&state, time.Now())}
	case errors.Is(err, stile.ErrWaitTimeout):
		text += fmt.Sprintf(" after %v in line", waited.Round(time.Millisecond))
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookPatience)
		defer cancel()
		state, lookErr := store.Locks.Get(ctx, f.key)
		if lookErr == nil && len(state.Holders) > 0 {
			text += ": " + heldBy(&state, time.Now())
		}
		return &busyError{text}
	default:
		return err
	}
}

// took takes in the outcome of the wait. by is the signal that ended it, or 0.
func (f *front) took(g granted, by syscall.Signal) error {
	if by != 0 {
		if g.err == nil {
			_ = g.hold.Release(context.Background()) // It expires at the latest.
		}
		return &exitError{exitSignal + int(by), nil}
	}
	switch {
	case g.err == nil:
		f.hold = g.hold
		return nil
	case !errors.Is(g.err, stile.ErrBusy):
		return g.err
	case f.flags.onBusy == "skip":
		return &exitError{exitOK, nil}
	case f.flags.quiet:
		return &exitError{f.flags.busyExit, nil}
	default:
		return &exitError{f.flags.busyExit, g.err}
	}
}

// look looks at the line again and again, for people. It asks no more than
// once a second, and not at all where nobody would read it.
func (l *stay) look(ctx context.Context) {
	if !l.live && !l.front.flags.verbose {
		return
	}
	var store *hold.Store
	select {
	case store = <-l.opened:
	case <-ctx.Done():
	}
	if store == nil {
		return
	}
	timer := time.NewTimer(lookAfter)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		once, cancel := context.WithTimeout(ctx, lookPatience)
		state, err := store.Locks.Get(once, l.front.key)
		cancel()
		if err == nil {
			select {
			case l.looks <- l.text(&state):
			case <-ctx.Done():
				return
			}
			if !l.live {
				return // Once is enough where every line stays.
			}
		}
		timer.Reset(lookEvery)
	}
}

// text says who holds the key and how many are ahead.
func (l *stay) text(state *stile.State) string {
	now := time.Now()
	text := fmt.Sprintf("stile: waiting for %s: %s", clean(state.Key), heldBy(state, now))
	switch ahead := l.ahead(state); ahead {
	case 0:
		return text + "; you are next"
	case 1:
		return text + "; 1 is ahead of you"
	default:
		return fmt.Sprintf("%s; %d are ahead of you", text, ahead)
	}
}

// ahead counts who waits before this run. Its own place is the one with its
// owner label; if several have the same, the one that came when it did.
func (l *stay) ahead(state *stile.State) int {
	mine, nearest := len(state.Waiters), time.Duration(0)
	for i := range state.Waiters {
		w := &state.Waiters[i]
		if off := w.Since.Sub(l.since).Abs(); w.Owner == l.front.flags.owner && (mine == len(state.Waiters) || off < nearest) {
			mine, nearest = i, off
		}
	}
	return mine
}

func (l *stay) draw(text string) {
	if !l.live {
		fmt.Fprintln(l.front.env.stderr, text)
		return
	}
	if width := tty.Width(int(os.Stderr.Fd())); width > 1 {
		if runes := []rune(text); len(runes) >= width {
			text = string(runes[:width-2]) + "…"
		}
	}
	fmt.Fprintf(l.front.env.stderr, "\r\x1b[K%s", text)
	l.drawn = true
}

func (l *stay) clear() {
	if l.drawn {
		fmt.Fprint(l.front.env.stderr, "\r\x1b[K")
		l.drawn = false
	}
}

// isTerminal reports whether a writer is standard error on a terminal.
func isTerminal(w any) bool {
	file, ok := w.(*os.File)
	return ok && tty.IsTerminal(int(file.Fd()))
}
