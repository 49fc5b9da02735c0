package redislock_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// TestLostReplyToAcquire: the caller gets the grant that the server made, by
// asking again.
func TestLostReplyToAcquire(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	d, network := breakable(t, s)
	locks := locksOver(t, d)
	release(t, acquire(t, locks, "other", nil)) // The connection and the script are there.
	lost := network.LoseReplyTo(prefix + "k")
	lease := acquire(t, locks, "k", nil)
	await(t, "the reply is lost", lost.Hit)
	state := get(t, locks, "k")
	if len(state.Holders) != 1 || state.Holders[0].ID != lease.ID() || state.Holders[0].Token != lease.Token() {
		t.Errorf("lease %v with token %d; the server knows %+v", lease.ID(), lease.Token(), state)
	}
	release(t, lease)
	wantNothing(t, s, "k")
}

// TestLostReplyToAcquireOfADriver: the driver says that it does not know, and a
// withdrawal leaves nothing.
func TestLostReplyToAcquireOfADriver(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	d, network := breakable(t, s)
	req := request("k", long)
	network.LoseReplyTo(req.ID.String())
	_, err := d.Acquire(within(t, slack), req)
	wantErr(t, "Acquire whose reply was lost", err, driver.ErrAmbiguous)
	again, err := d.Acquire(within(t, slack), req)
	check(t, "the same Acquire again", err)
	if again.Token == 0 {
		t.Error("a grant without a token")
	}
	check(t, "Release", d.Release(within(t, slack), holdOf(req, driver.Grant{})))
	wantNothing(t, s, "k")
}

// TestLostReplyToRelease: the next in line holds once, and nothing that the
// releaser repeats hurts it.
func TestLostReplyToRelease(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	d, network := breakable(t, s)
	locks := locksOver(t, d)
	others := openLocks(t, s.URL("prefix="+prefix))
	lease := acquire(t, locks, "k", nil)
	second := stand(t, others, "k", nil)
	third := stand(t, others, "k", nil)
	lost := network.LoseReplyTo(prefix + "k")
	release(t, lease)
	await(t, "the reply is lost", lost.Hit)
	next := second.granted(t)
	third.waits(t)
	if err := next.Err(); err != nil {
		t.Errorf("the next in line has lost its lease: %v", err)
	}
	release(t, next)
	release(t, third.granted(t))
	wantNothing(t, s, "k")
}

// TestCancelWhileTheReplyIsUnderWay: the server has granted, or has put the
// attempt in line, and its reply is on its way when the caller gives up.
// Nothing is left behind.
func TestCancelWhileTheReplyIsUnderWay(t *testing.T) {
	t.Parallel()
	for name, held := range map[string]bool{"free": false, "held": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			d, network := breakable(t, s)
			locks := locksOver(t, d)
			others := openLocks(t, s.URL("prefix="+prefix))
			// So that there is a subscription, and what follows is one request.
			first := acquire(t, others, "other", nil)
			behind := stand(t, locks, "other", nil)
			release(t, first)
			release(t, behind.granted(t))

			var holder *stile.Lease
			if held {
				holder = acquire(t, others, "k", nil)
			}
			reply := network.HoldReply(prefix + "k")
			w := begin(t, locks, "k", nil)
			await(t, "the reply is under way", reply.Hit)
			if state := get(t, others, "k"); len(state.Holders)+len(state.Waiters) == 0 {
				t.Errorf("the server knows of nobody: %+v", state)
			}
			w.cancel()
			w.over(t)
			wantErr(t, "Acquire", w.err, context.Canceled)
			reply.Free()
			if held {
				until(t, "the line is empty", func() bool { return len(get(t, others, "k").Waiters) == 0 })
				release(t, holder)
			}
			until(t, "the key is free", func() bool { return len(get(t, others, "k").Holders) == 0 })
			wantNothing(t, s, "k")
		})
	}
}

// TestLateAcquireFindsItsTombstone: an acquire that comes to the server after
// the release that withdraws it grants nothing.
func TestLateAcquireFindsItsTombstone(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	d, network := breakable(t, s)
	other := openDriver(t, s.URL("prefix="+prefix))
	warm := request("other", long)
	if _, err := d.Acquire(within(t, slack), warm); err != nil {
		t.Fatal(err)
	}
	req := request("k", long)
	late := network.HoldCommand(req.ID.String())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := d.Acquire(ctx, req)
		result <- err
	}()
	await(t, "the command is under way", late.Hit)
	cancel()
	err := <-result
	wantErr(t, "Acquire that was given up", err, context.Canceled)
	wantErr(t, "Acquire that was given up", err, driver.ErrAmbiguous)
	// Another connection is faster than the one that the command is stuck on.
	if err := other.Release(within(t, slack), holdOf(req, driver.Grant{})); err != nil && !errors.Is(err, driver.ErrLost) {
		t.Fatalf("Release: %v", err)
	}
	late.Free()
	until(t, "the command has come to the server", func() bool { return !late.At().IsZero() })
	check(t, "Renew, behind it", d.Renew(within(t, slack), holdOf(warm, driver.Grant{}), long))
	wantNothing(t, s, "k")
	check(t, "Release", d.Release(within(t, slack), holdOf(warm, driver.Grant{})))
}
