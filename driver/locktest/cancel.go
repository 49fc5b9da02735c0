package locktest

import (
	"context"
	"errors"
	"time"

	"github.com/stilelock/stile/driver"
)

// cancelCases are about contexts that end.
var cancelCases = []testCase{
	{name: "wait_ends_with_the_deadline", run: func(w *world) {
		c := w.clients(2)
		w.acquire(c[0], w.request("k"))
		ctx, cancel := context.WithTimeout(w.Context(), w.glance)
		begun := time.Now()
		waiter := w.startWith(ctx, cancel, c[1], w.request("k"))
		if !waiter.over(w.glance + w.slack) {
			w.Fatalf("Acquire still waits %v after its context's deadline", w.slack)
		}
		w.wantContextError(waiter, context.DeadlineExceeded)
		if waited := time.Since(begun); waited < w.glance {
			w.Fatalf("Acquire gave up after %v, before its context's deadline of %v", waited, w.glance)
		}
		w.wantLine("k")
	}},
	{name: "ended_context_does_nothing", run: endedContext},
	{name: "leaver_in_the_middle_keeps_the_order_of_the_rest", run: func(w *world) {
		c := w.clients(3)
		held := w.acquire(c[0], w.request("k"))
		one := w.standBehind(c[1], w.request("k"))
		two := w.standBehind(c[2], w.request("k"))
		three := w.standBehind(c[1], w.request("k"))
		two.cancel()
		w.wantContextError(two, context.Canceled)
		w.wantLine("k", one.req.ID, three.req.ID)
		w.mustRelease(held)
		w.mustRelease(one.granted())
		three.granted()
	}},
	{name: "leaver_comes_back_at_the_end_of_the_line", run: func(w *world) {
		c := w.clients(3)
		held := w.acquire(c[0], w.request("k"))
		one := w.standBehind(c[1], w.request("k"))
		two := w.standBehind(c[2], w.request("k"))
		one.cancel()
		w.wantContextError(one, context.Canceled)
		again := w.standBehind(c[1], w.request("k"))
		w.mustRelease(held)
		w.mustRelease(two.granted())
		again.granted()
	}},
	{name: "context_bounds_the_wait_and_not_the_hold", run: func(w *world) {
		c := w.clients(2)
		call := w.start(c[0], w.request("k"))
		l := call.granted()
		call.cancel()
		w.wait(w.glance)
		w.wantBusy(c[1], w.request("k"))
		w.mustRenew(l, w.long)
		w.mustRelease(l)
	}},
	{name: "crowd_that_leaves_leaves_nothing", run: func(w *world) {
		c := w.clients(4)
		held := w.acquire(c[0], w.request("k"))
		var calls []*call
		for i := range 25 {
			calls = append(calls, w.start(c[i%4], w.request("k")))
		}
		w.until("25 stand in line", func() bool { return len(w.line(c[0], "k")) == 25 })
		for i := range 25 { // And some who leave before they arrive.
			calls = append(calls, w.start(c[i%4], w.request("k")))
		}
		for _, c := range calls {
			c.cancel()
		}
		for _, c := range calls {
			w.wantContextError(c, context.Canceled)
		}
		w.wantLine("k")
		w.mustRelease(held)
		w.wantNothing("k")
	}},
}

// wantContextError checks that a wait has ended as its context did, and that
// an outcome that was unknown was settled by the Release that followed.
func (w *world) wantContextError(c *call, want error) {
	w.Helper()
	err := c.failed()
	w.wantError("Acquire whose context ended", err, want)
	if errors.Is(err, driver.ErrAmbiguous) && c.withdrawn != nil && !errors.Is(c.withdrawn, driver.ErrLost) {
		w.Fatalf("Release after an Acquire of unknown outcome: %v", c.withdrawn)
	}
}

func cancelLeavesNothing(w *world) {
	c := w.clients(2)
	held := w.acquire(c[0], w.request("k"))
	waiter := w.standBehind(c[1], w.request("k"))
	waiter.cancel()
	w.wantContextError(waiter, context.Canceled)
	if line := w.line(w.client(), "k"); len(line) != 0 {
		w.Fatalf("the attempt that was cancelled is still in line: %v", line)
	}
	w.mustRelease(held)
	w.wantNothing("k")
	w.mustTry(c[0], w.request("k"))
}

// A race lets one thing happen at the very moment of another, many times. Each
// round moves them towards the outcome that the last one did not have, in
// ever smaller steps, so that the rounds gather where the race is.
type race struct {
	lead, step time.Duration
	wins, runs int
	won        bool
}

// run lets both go, the first one as much earlier as is due.
func (r *race) run(first, second func()) {
	begin, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		<-begin
		spin(-r.lead)
		first()
	}()
	close(begin)
	spin(r.lead)
	second()
	<-done
}

// outcome notes whether the first one won.
func (r *race) outcome(won bool) {
	const most, least = 200 * time.Microsecond, 5 * time.Microsecond
	if r.runs == 0 {
		r.step = most
	} else if won != r.won {
		r.step = max(r.step/2, least)
	}
	r.runs++
	r.won = won
	if won {
		r.wins++
		r.lead -= r.step
	} else {
		r.lead += r.step
	}
}

// spin lets a few microseconds pass, more exactly than a timer would.
func spin(d time.Duration) {
	for end := driver.SystemClock().Add(d); d > 0 && driver.SystemClock() < end; {
	}
}

// cancelRacesGrant ends the wait at the very moment of the grant. Whichever
// wins, nothing is left behind.
func cancelRacesGrant(w *world) {
	c := w.clients(3)
	var r race
	for range 200 {
		held := w.acquire(c[0], w.request("k"))
		waiter := w.standBehind(c[1], w.request("k"))
		var released error
		r.run(func() { released = w.release(held) }, waiter.cancel)
		switch {
		case released != nil:
			w.Fatalf("Release while a waiter leaves: %v", released)
		case !waiter.over(w.slack):
			w.Fatalf("Acquire has not returned %v after its context ended", w.slack)
		case waiter.err != nil:
			w.wantContextError(waiter, context.Canceled)
		default:
			w.mustRelease(waiter.lease)
		}
		r.outcome(waiter.err == nil)
		w.mustRelease(w.mustTry(c[2], w.request("k")))
	}
	w.Logf("the grant won %d of %d races", r.wins, r.runs)
	w.wantNothing("k")
}

// endedContext: with a context that has ended, every method returns its error
// and leaves the store as it is.
func endedContext(w *world) {
	ended, cancel := context.WithCancel(w.Context())
	cancel()
	d := w.client()
	w.wantContextError(w.startWith(ended, cancel, d, w.request("free")), context.Canceled)
	w.wantNothing("free")

	held := w.acquire(d, w.request("k"))
	w.wantContextError(w.startWith(ended, cancel, d, w.request("k")), context.Canceled)
	w.wantLine("k")
	for what, call := range map[string]func(context.Context) error{
		"Renew":   func(context.Context) error { return d.Renew(ended, held.hold(), w.long) },
		"Release": func(context.Context) error { return d.Release(ended, held.hold()) },
		"Break":   func(context.Context) error { return d.Break(ended, "k", held.req.ID, driver.BreakNow) },
		"List": func(context.Context) error {
			_, err := listAll(ended, d, "")
			return err
		},
	} {
		w.wantError(what+" with an ended context", w.ask(w.slack, what, call), context.Canceled)
	}
	w.wantHolders("k", held)
	w.mustRenew(held, w.long)
}
