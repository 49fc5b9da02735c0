//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package locktest

import (
	"syscall"

	"github.com/stilelock/stile/driver"
)

// freezeCases are about processes that stand still and go on later, as in a
// long pause of a garbage collector or of a virtual machine.
func freezeCases() []testCase {
	return []testCase{
		{name: "frozen_holder_learns_that_it_lost", needs: needProcesses, run: holderFrozen},
		{name: "frozen_waiter_is_not_late_without_knowing", needs: needProcesses, run: waiterFrozen},
	}
}

// freeze stops the process where it is. The returned function lets it go on.
func (p *process) freeze() (thaw func()) {
	w := p.w
	w.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		w.Fatalf("freeze another process: %v", err)
	}
	// A frozen process can neither close its client nor end.
	w.Cleanup(func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) })
	// The signal takes effect in its own time. Nobody else waits for the
	// process as long as it keeps its standard output open.
	var status syscall.WaitStatus
	_, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
	for err == syscall.EINTR {
		_, err = syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
	}
	if err != nil || !status.Stopped() {
		w.Fatalf("freeze another process: wait status %v, %v", status, err)
	}
	return func() {
		if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			w.Fatalf("let another process go on: %v", err)
		}
	}
}

func holderFrozen(w *world) {
	p := w.spawn()
	req := w.expiring("k")
	r := p.granted(p.acquire(req), 0)
	thaw := p.freeze()
	next := w.start(w.client(), w.request("k")).grantedWithin(w.short)
	thaw()
	_, err := p.ask(order{Op: "renew", Key: "k", ID: req.ID, Token: r.Token, TTL: w.long})
	w.wantError("Renew after a freeze", err, driver.ErrLost)
	_, err = p.ask(order{Op: "release", Key: "k", ID: req.ID, Token: r.Token, TTL: w.long})
	w.wantError("Release after a freeze", err, driver.ErrLost)
	w.wantHolders("k", next)
	w.mustRenew(next, w.long)
}

// waiterFrozen grants a waiter while it is frozen. When it goes on, its lease
// has passed to another, and nothing in its grant may let it think otherwise.
func waiterFrozen(w *world) {
	p := w.spawn()
	held := w.acquire(w.client(), w.request("k"))
	req := w.expiring("k")
	waiting := p.stand(req)
	behind := w.start(w.client(), w.request("k"))
	w.until("one stands in line behind another process", func() bool { return len(w.line(w.client(), "k")) == 2 })
	thaw := p.freeze()
	w.mustRelease(held)
	next := behind.grantedWithin(max(w.short, w.deadWaiter(w.short)))
	thaw()
	w.wait(w.glance)
	w.wantHolders("k", next)
	w.mustRelease(next)
	r, ok := p.await(waiting, w.slack)
	switch {
	case !ok:
		w.Fatalf("Acquire in a process that was frozen gives %s", r.Error)
	case r.Error != "":
		w.Logf("Acquire in a process that was frozen: %v", r.err())
	case r.Token > next.grant.Token:
		w.Logf("Acquire in a process that was frozen stood in line again and was granted")
	default:
		from, ttl := r.From, r.TTL
		if from == 0 {
			from = r.Sent
		}
		if ttl == 0 {
			ttl = req.TTL
		}
		if left := from.Add(ttl).Sub(r.Got); left > drift(ttl) {
			w.Fatalf("by Grant.From a waiter that was frozen may work for another %v, but its lease has passed to another", left)
		}
	}
}
