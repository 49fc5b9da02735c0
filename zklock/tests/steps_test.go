package tests

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zkproxy"
)

// TestSessionExpiredBeforeEachRequest: the session of an acquire ends just before
// its nth request, for each n, and another client comes then. The acquire is never
// granted beside that one; it stands in line anew, and leaves nothing behind.
func TestSessionExpiredBeforeEachRequest(t *testing.T) { onBoth(t, sessionExpiredBeforeEachRequest) }

func sessionExpiredBeforeEachRequest(t *testing.T, servers []string) {
	t.Helper()
	t.Parallel()
	// Before an acquire waits it makes three requests at least: create, list, and a
	// look at the one before it. To be granted it makes no other one, at best.
	const least, most = 3, 12
	for nth := 1; nth <= most; nth++ {
		t.Run(fmt.Sprint(nth), func(t *testing.T) {
			t.Parallel()
			path := root()
			others := openDriver(t, servers, path)
			holder := begin(t, others, long).granted()
			d, network := breakable(t, servers, path)
			rule := network.HoldRequest(zkproxy.Any, nth)
			ours := begin(t, d, long)
			released := nth > least
			if released { // The requests that are left come at the hand-over, if at all.
				until(t, "it waits", func() bool { return network.Count(zkproxy.Any) >= least })
				select {
				case <-rule.Hit:
				case <-time.After(glance):
				}
				holder.release()
				select {
				case <-rule.Hit:
				case <-ours.done:
					network.Heal() // What comes now is no request of an acquire.
					ours.granted().release()
					wantNothing(t, servers, path)
					return
				}
			}
			select {
			case <-rule.Hit:
			case <-time.After(slack):
				t.Fatalf("no request %d", nth)
			}
			network.Cut()
			killSessions(t, servers, network)
			next := begin(t, others, long)
			if !released {
				holder.release()
			}
			next.granted()
			network.Heal()
			ours.waits()
			next.release()
			if ours.granted(); ours.grant.Token <= next.grant.Token {
				t.Errorf("token %d after token %d", ours.grant.Token, next.grant.Token)
			}
			ours.release()
			wantNothing(t, servers, path)
		})
	}
}

// TestConnectionCutBeforeEachRequest: only the connection ends there. The acquire
// keeps its place: it is granted before who came later.
func TestConnectionCutBeforeEachRequest(t *testing.T) { onBoth(t, connectionCutBeforeEachRequest) }

func connectionCutBeforeEachRequest(t *testing.T, servers []string) {
	t.Helper()
	t.Parallel()
	const most = 12
	for nth := 2; nth <= most; nth++ { // Before the first it has no place yet.
		t.Run(fmt.Sprint(nth), func(t *testing.T) {
			t.Parallel()
			path := root()
			others := openDriver(t, servers, path)
			holder := begin(t, others, long).granted()
			d, network := breakable(t, servers, path)
			network.CutBefore(zkproxy.Any, nth)
			ours := begin(t, d, long)
			until(t, "it stands in line", func() bool { return len(children(t, servers, path+"/"+key)) == 2 })
			next := begin(t, others, long)
			until(t, "the next one does", func() bool { return len(children(t, servers, path+"/"+key)) == 3 })
			ours.waits()
			holder.release()
			ours.granted()
			next.waits()
			ours.release()
			if next.granted(); next.grant.Token <= ours.grant.Token {
				t.Errorf("token %d after token %d", next.grant.Token, ours.grant.Token)
			}
			next.release()
			wantNothing(t, servers, path)
		})
	}
}

// TestLostCreateReply: the answer to the create is lost. The acquire finds its node
// again and makes no second one.
func TestLostCreateReply(t *testing.T) { onBoth(t, lostCreateReply) }

func lostCreateReply(t *testing.T, servers []string) {
	t.Helper()
	t.Parallel()
	path := root()
	others := openDriver(t, servers, path)
	holder := begin(t, others, long).granted()
	d, network := breakable(t, servers, path)
	rule := network.LoseReplyTo(zkproxy.Create, 1)
	ours := begin(t, d, long)
	<-rule.Hit
	ours.waits()
	if nodes := children(t, servers, path+"/"+key); len(nodes) != 2 || network.Count(zkproxy.Create) != 1 {
		t.Errorf("%d nodes, of %d creates: want that of the holder and one", len(nodes), network.Count(zkproxy.Create))
	}
	holder.release()
	ours.granted().release()
	wantNothing(t, servers, path)
}

// TestLostDeleteReply: the answer to a release is lost. The release says that it
// was one.
func TestLostDeleteReply(t *testing.T) { onBoth(t, lostDeleteReply) }

func lostDeleteReply(t *testing.T, servers []string) {
	t.Helper()
	t.Parallel()
	path := root()
	d, network := breakable(t, servers, path)
	ours := begin(t, d, long).granted()
	rule := network.LoseReplyTo(zkproxy.Delete, 1)
	ours.release()
	select {
	case <-rule.Hit:
	default:
		t.Error("no reply was lost")
	}
	wantNothing(t, servers, path)
	if err := d.Release(t.Context(), ours.hold()); !errors.Is(err, driver.ErrLost) {
		t.Errorf("a second release: %v", err)
	}
}

// TestSessionExpiredWhileItLists: a list changes nothing, and goes on in another
// session.
func TestSessionExpiredWhileItLists(t *testing.T) { onBoth(t, sessionExpiredWhileItLists) }

func sessionExpiredWhileItLists(t *testing.T, servers []string) {
	t.Helper()
	t.Parallel()
	path := root()
	holder := begin(t, openDriver(t, servers, path), long).granted()
	d, network := breakable(t, servers, path)
	rule := network.HoldRequest(zkproxy.Children, 1)
	type listed struct {
		keys int
		err  error
	}
	result := make(chan listed, 1)
	go func() {
		var it listed
		for state, err := range d.List(t.Context(), "") {
			it.err = errors.Join(it.err, err)
			it.keys += len(state.Holders)
		}
		result <- it
	}()
	<-rule.Hit
	network.Cut()
	killSessions(t, servers, network)
	network.Heal()
	if it := <-result; it.err != nil || it.keys != 1 {
		t.Errorf("listed %d holders: %v", it.keys, it.err)
	}
	holder.release()
}
