package e2e

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// working is a command with a child in the same group and one that has left
// the session. Each writes down the time every few milliseconds; none heeds
// SIGTERM.
const working = `trap "" TERM
echo "$STILE_TOKEN" >token1
beat() { while :; do date +%s%N >>"$1"; sleep 0.005; done; }
beat child &
setsid sh -c 'trap "" TERM; while :; do date +%s%N >>stray; sleep 0.005; done' &
beat command`

// entering writes down when the next holder's command began.
const entering = `date +%s%N >entered; echo "$STILE_TOKEN" >token2`

// A `stile run` that is frozen past its TTL, or killed: its command and every
// grandchild are gone before the next holder's command begins.
func TestNobodyIsLeftWhenTheNextEnters(t *testing.T) {
	for name, fault := range map[string]syscall.Signal{"frozen": syscall.SIGSTOP, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			first := h.stile("run", "--ttl", "2s", "--kill-after", "300ms", "k", "--", "sh", "-c", working).start()
			for _, who := range []string{"command", "child", "stray"} {
				eventually(t, who+" to work", func() bool {
					info, err := os.Stat(h.path(who))
					return err == nil && info.Size() > 100
				})
			}
			next := h.stile("run", "k", "--", "sh", "-c", entering).start()
			locks := h.locker()
			eventually(t, "the next to stand in line", func() bool {
				state, err := locks.Get(t.Context(), "k")
				return err == nil && len(state.Waiters) == 1
			})
			faultAt := time.Now()
			first.signal(fault)
			if status := next.wait(); status != 0 {
				t.Fatalf("the next: exit status %d, stderr %q", status, next.stderr.String())
			}
			entered := times(t, h.path("entered"))[0]
			for _, who := range []string{"command", "child", "stray"} {
				beats := times(t, h.path(who))
				last := beats[len(beats)-1]
				t.Logf("%s stopped %v before the next entered", who, time.Duration(entered-last))
				if last >= entered {
					t.Errorf("%s worked on for %v after the next had entered", who, time.Duration(last-entered))
				}
			}
			t.Logf("the next entered %v after the fault", time.Duration(entered-faultAt.UnixNano()))
			if fault == syscall.SIGSTOP {
				first.signal(syscall.SIGCONT)
				if status := first.wait(); status != 71 || !strings.Contains(first.stderr.String(), "lost") {
					t.Errorf("the frozen one, continued: exit status %d, stderr %q; want 71", status, first.stderr.String())
				}
			} else if status := first.wait(); status != 128+int(fault) {
				t.Errorf("the killed one: exit status %d", status)
			}
			if one, two := token(t, h, "token1"), token(t, h, "token2"); two <= one {
				t.Errorf("token %d after %d", two, one)
			}
		})
	}
}

func token(t *testing.T, h *home, name string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimSpace(h.read(name)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
