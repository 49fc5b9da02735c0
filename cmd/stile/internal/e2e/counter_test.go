package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stilelock/stile"
)

// increment adds 1 to a number in a file, in a way that is only right for
// somebody who is alone. It heeds no SIGTERM, so that one that was begun is
// finished, also when its `stile run` was killed.
const increment = `trap "" TERM
n=$(cat f); sleep 0.01; echo $((n+1)) >f
echo "$STILE_TOKEN $STILE_LEASE" >>log`

// Sixteen processes, twenty rounds each, and now and then the one that holds
// is killed: no increment is lost, tokens rise strictly, the line is served in
// order.
func TestSixteenProcessesCount(t *testing.T) {
	const workers, rounds = 16, 20
	h := newHome(t)
	if status := h.stile("run", "setup", "--", "sh", "-c", "echo 0 >f; : >log").run(); status != 0 {
		t.Fatalf("setup: exit status %d", status)
	}
	seen := watchLine(t, h.locker(), "counter")

	var workersDone sync.WaitGroup
	var mu sync.Mutex
	startOf := make(map[string]time.Time) // by the number of the process
	finished, killed := 0, 0
	for range workers {
		workersDone.Go(func() {
			for range rounds {
				p := h.stile("run", "--ttl", "3s", "counter", "--", "sh", "-c", increment).start()
				mu.Lock()
				startOf[strconv.Itoa(p.cmd.Process.Pid)] = p.started
				mu.Unlock()
				switch status := p.wait(); status {
				case 0:
					mu.Lock()
					finished++
					mu.Unlock()
				case 128 + int(syscall.SIGKILL):
					mu.Lock()
					killed++
					mu.Unlock()
				default:
					t.Errorf("exit status %d, stderr %q", status, p.stderr.String())
				}
			}
		})
	}
	stopKilling := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() { seen.killHolders(stopKilling) })
	workersDone.Wait()
	close(stopKilling)
	killer.Wait()
	// The guards of those that were killed may have a command to finish.
	eventually(t, "the key to be free", func() bool {
		state, err := seen.locks.Get(t.Context(), "counter")
		return err == nil && len(state.Holders)+len(state.Waiters) == 0
	})
	line := seen.stop()

	var log []grant
	for text := range strings.Lines(h.read("log")) {
		var g grant
		if _, err := fmt.Sscan(text, &g.token, &g.lease); err != nil {
			t.Fatalf("log has %q: %v", text, err)
		}
		log = append(log, g)
	}
	counter, err := strconv.Atoi(strings.TrimSpace(h.read("f")))
	if err != nil || counter != len(log) {
		t.Errorf("the counter is %d after %d commands that completed: %v", counter, len(log), err)
	}
	if len(log) < finished || len(log) > workers*rounds || finished+killed != workers*rounds {
		t.Errorf("%d commands completed; %d runs finished and %d were killed, of %d", len(log), finished, killed, workers*rounds)
	}
	if killed == 0 {
		t.Error("nobody was killed: the test shows less than it should")
	}
	pairs := checkOrder(t, log, line, startOf)
	t.Logf("%d commands completed, %d holders were killed; %d pairs of one who stood in line before the other began", len(log), killed, pairs)
	if pairs < 100 {
		t.Errorf("only %d pairs to tell the order by", pairs)
	}
}

// A grant is a line of the log, in the order of the commands.
type grant struct {
	token uint64
	lease string
}

// checkOrder checks that tokens rise, and that whoever was seen in line before
// another process had even begun was granted before it. It returns the number
// of such pairs.
func checkOrder(t *testing.T, log []grant, line map[string]place, startOf map[string]time.Time) (pairs int) {
	t.Helper()
	for i := range log[1:] {
		if log[i+1].token <= log[i].token {
			t.Errorf("token %d after %d", log[i+1].token, log[i].token)
		}
	}
	for late, g := range log {
		start, known := startOf[line[g.lease].pid]
		if !known {
			continue // It never had to wait long enough to be seen.
		}
		for early, other := range log {
			p, seen := line[other.lease]
			if !seen || p.since.IsZero() || !p.since.Before(start) {
				continue
			}
			pairs++
			if early > late {
				t.Errorf("lease %s stood in line before %s had begun, and was granted after it", other.lease, g.lease)
			}
		}
	}
	return pairs
}

// A place is when an attempt was first seen in line, and whose it is.
type place struct {
	pid   string
	since time.Time
}

// A lineWatch looks at a key's line all the time.
type lineWatch struct {
	t      *testing.T
	locks  *stile.Locker
	key    string
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	line   map[string]place
	holder string // the process that holds, as it was seen last
}

func watchLine(t *testing.T, locks *stile.Locker, key string) *lineWatch {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &lineWatch{t: t, locks: locks, key: key, cancel: cancel, done: make(chan struct{}), line: make(map[string]place)}
	go w.look(ctx)
	return w
}

func (w *lineWatch) look(ctx context.Context) {
	defer close(w.done)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if state, err := w.locks.Get(ctx, w.key); err == nil {
			w.note(&state, time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (w *lineWatch) note(state *stile.State, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, waiter := range state.Waiters {
		if _, seen := w.line[waiter.ID.String()]; !seen {
			w.line[waiter.ID.String()] = place{pidOf(waiter.Owner), now}
		}
	}
	w.holder = ""
	for _, holder := range state.Holders {
		w.holder = pidOf(holder.Owner)
		if _, seen := w.line[holder.ID.String()]; !seen {
			w.line[holder.ID.String()] = place{pid: w.holder}
		}
	}
}

func (w *lineWatch) stop() map[string]place {
	w.cancel()
	<-w.done
	return w.line
}

// killHolders kills whoever holds, about every half second.
func (w *lineWatch) killHolders(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(300*time.Millisecond + rand.N(400*time.Millisecond)):
		}
		w.mu.Lock()
		pid, err := strconv.Atoi(w.holder)
		w.mu.Unlock()
		if err == nil && isOurs(pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // It may have ended since.
		}
	}
}

// pidOf reads the process out of the default owner label, host:pid program.
func pidOf(owner string) string {
	_, rest, _ := strings.Cut(owner, ":")
	pid, _, _ := strings.Cut(rest, " ")
	return pid
}
