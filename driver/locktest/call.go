package locktest

import (
	"context"
	"errors"
	"time"

	"github.com/stilelock/stile/driver"
)

// A lease is a grant with all that belongs to it.
type lease struct {
	client driver.Driver
	req    driver.Request
	grant  driver.Grant
	// sent is the clock before the call of Acquire, got after its return.
	sent, got driver.Instant
}

// hold is what Renew and Release want.
func (l *lease) hold() driver.Hold {
	return driver.Hold{Key: l.req.Key, ID: l.req.ID, Token: l.grant.Token, TTL: l.ttl()}
}

// ttl is the TTL that the store gave.
func (l *lease) ttl() time.Duration {
	if l.grant.TTL != 0 {
		return l.grant.TTL
	}
	return l.req.TTL
}

// from is the moment from which package stile counts the TTL.
func (l *lease) from() driver.Instant {
	if l.grant.From != 0 {
		return l.grant.From
	}
	return l.sent
}

// A call is an Acquire that runs in a goroutine of its own.
type call struct {
	w      *world
	client driver.Driver
	req    driver.Request
	cancel context.CancelFunc
	done   chan struct{}
	// Set before done is closed.
	lease *lease
	err   error
	// withdrawn is what Release said after an ErrAmbiguous.
	withdrawn error
}

// start calls Acquire in a goroutine that ends with the case at the latest.
func (w *world) start(d driver.Driver, req driver.Request) *call {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	return w.startWith(ctx, cancel, d, req)
}

func (w *world) startWith(ctx context.Context, cancel context.CancelFunc, d driver.Driver, req driver.Request) *call {
	w.Helper()
	c := &call{w: w, client: d, req: req, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		l := &lease{client: d, req: req, sent: driver.SystemClock()}
		l.grant, c.err = d.Acquire(ctx, req)
		l.got = driver.SystemClock()
		if c.err == nil {
			c.lease = l
		} else if errors.Is(c.err, driver.ErrAmbiguous) {
			c.withdrawn = w.releaseBy(d, l.hold())
		}
	}()
	w.Cleanup(func() {
		cancel()
		if !c.over(2 * w.slack) {
			w.Errorf("Acquire has not returned %v after its context ended", 2*w.slack)
		}
	})
	return c
}

// returned reports whether the call has returned.
func (c *call) returned() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// over reports whether the call returns within d.
func (c *call) over(d time.Duration) bool {
	if c.returned() {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	case <-timer.C:
		return false
	}
}

// granted waits for the grant, which should come at once.
func (c *call) granted() *lease {
	c.w.Helper()
	return c.grantedWithin(0)
}

// grantedWithin waits for the grant, which should come within d.
func (c *call) grantedWithin(d time.Duration) *lease {
	w := c.w
	w.Helper()
	switch {
	case !c.over(d + w.slack):
		w.Fatalf("key %q is not granted after %v", c.req.Key, d+w.slack)
	case c.err != nil:
		w.Fatalf("Acquire of key %q: %v", c.req.Key, c.err)
	case c.lease.grant.Token == 0:
		w.Fatalf("the grant of key %q has the fencing token 0", c.req.Key)
	}
	return c.lease
}

// failed waits for the error that should come at once.
func (c *call) failed() error {
	w := c.w
	w.Helper()
	switch {
	case !c.over(w.slack):
		w.Fatalf("Acquire of key %q still waits after %v", c.req.Key, w.slack)
	case c.err == nil:
		w.Fatalf("key %q is granted with token %d; want an error", c.req.Key, c.lease.grant.Token)
	}
	return c.err
}

// waits looks on for a while to see that the call is not answered.
func (c *call) waits(d time.Duration) {
	w := c.w
	w.Helper()
	if !c.over(d) {
		return
	}
	if c.err != nil {
		w.Fatalf("Acquire of key %q came back instead of waiting: %v", c.req.Key, c.err)
	}
	w.Fatalf("key %q is granted with token %d while others keep it taken", c.req.Key, c.lease.grant.Token)
}

// acquire asks for a hold that is free.
func (w *world) acquire(d driver.Driver, req driver.Request) *lease {
	w.Helper()
	return w.start(d, req).granted()
}

// try asks for a hold without waiting.
func (w *world) try(d driver.Driver, req driver.Request) (*lease, error) {
	w.Helper()
	req.NoWait = true
	c := w.start(d, req)
	if !c.over(w.slack) {
		w.Fatalf("Acquire of key %q with NoWait has not returned after %v", req.Key, w.slack)
	}
	return c.lease, c.err
}

// mustTry takes a key that is free, without waiting.
func (w *world) mustTry(d driver.Driver, req driver.Request) *lease {
	w.Helper()
	l, err := w.try(d, req)
	if err != nil {
		w.Fatalf("Acquire of a free key %q with NoWait: %v", req.Key, err)
	}
	return l
}

// wantBusy asks without waiting for a hold that is taken.
func (w *world) wantBusy(d driver.Driver, req driver.Request) *driver.BusyError {
	w.Helper()
	l, err := w.try(d, req)
	if err == nil {
		w.Fatalf("key %q is granted with token %d while others keep it taken", req.Key, l.grant.Token)
	}
	w.wantError("Acquire of a taken key with NoWait", err, driver.ErrBusy)
	var busy *driver.BusyError
	if !errors.As(err, &busy) {
		w.Fatalf("Acquire of a taken key with NoWait: got the error %q; want a *driver.BusyError", err)
	}
	return busy
}

// standBehind lets a request stand at the end of the line and returns when the
// store lists it there.
func (w *world) standBehind(d driver.Driver, req driver.Request) *call {
	w.Helper()
	line := append(w.line(w.client(), req.Key), req.ID)
	c := w.start(d, req)
	w.until("an attempt stands in line for key "+req.Key, func() bool {
		w.Helper()
		if c.returned() {
			c.waits(0)
		}
		return len(w.line(w.client(), req.Key)) == len(line)
	})
	w.wantLine(req.Key, line...)
	return c
}
