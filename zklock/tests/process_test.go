package tests

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock"
	"github.com/stilelock/stile/zklock/internal/zktest"
)

// childVariable tells a process that it is a child of a test. It has the TTL of its
// leases, the root, and the servers.
const childVariable = "STILE_ZKLOCK_CHILD"

// serveChild stands in line for each line that it reads, and writes it with the
// token and the time when it was granted. A line that begins with "hold" is then held, and
// renewed each 200 ms; others are released at once. What it writes last is "lost".
func serveChild(order string) error {
	words := strings.Fields(order)
	ttl, err := time.ParseDuration(words[0])
	if err != nil {
		return err
	}
	d, err := zklock.New(words[2:], &zklock.Options{Root: words[1], Tick: zktest.Tick})
	if err != nil {
		return err
	}
	defer d.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var out sync.Mutex
	say := func(words ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(words...)
	}
	var work sync.WaitGroup
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		line := lines.Text()
		req := driver.Request{Key: key, ID: driver.NewLeaseID(), Limit: 1, TTL: ttl, Tokens: 1, Owner: line, Now: driver.SystemClock}
		work.Go(func() {
			grant, err := d.Acquire(ctx, req)
			if err != nil {
				if ctx.Err() == nil {
					fmt.Fprintln(os.Stderr, "acquire:", err)
				}
				return
			}
			say(line, grant.Token, time.Now().UnixNano())
			hold := driver.Hold{Key: key, ID: req.ID, Token: grant.Token, TTL: ttl}
			for strings.HasPrefix(line, "hold") {
				select {
				case <-ctx.Done():
					return
				case <-time.After(200 * time.Millisecond):
				}
				if err := d.Renew(ctx, hold, ttl); errors.Is(err, driver.ErrLost) {
					say(line, "lost")
					return
				}
			}
			if err := d.Release(ctx, hold); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
	cancel()
	work.Wait()
	return nil
}

// A child is another process.
type child struct {
	cmd    *exec.Cmd
	orders io.WriteCloser
	lines  chan string
}

func startChild(t *testing.T, servers []string, root string, ttl time.Duration) *child {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{lines: make(chan string, 2000)}
	c.cmd = exec.Command(binary, "-test.run=^$")
	c.cmd.Env = append(os.Environ(), childVariable+"="+ttl.String()+" "+root+" "+strings.Join(servers, " "))
	c.cmd.Stderr = os.Stderr
	orders, err := c.cmd.StdinPipe()
	answers, err2 := c.cmd.StdoutPipe()
	if err := errors.Join(err, err2, c.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	c.orders = orders
	go func() {
		defer close(c.lines)
		for lines := bufio.NewScanner(answers); lines.Scan(); {
			c.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		c.orders.Close()
		c.cmd.Process.Kill()
		for range c.lines { // What it still writes is nobody's any more.
		}
		_ = c.cmd.Wait() // It was killed.
	})
	return c
}

func (c *child) order(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(c.orders, line); err != nil {
		t.Fatal(err)
	}
}

func (c *child) signal(t *testing.T, what syscall.Signal) time.Time {
	t.Helper()
	at := time.Now()
	if err := c.cmd.Process.Signal(what); err != nil {
		t.Fatal(err)
	}
	return at
}

func (c *child) hear(t *testing.T) string {
	t.Helper()
	select {
	case line, open := <-c.lines:
		if !open {
			t.Fatal("the process has ended")
		}
		return line
	case <-time.After(2 * slack):
		t.Fatalf("the process has said nothing for %v", 2*slack)
	}
	return ""
}

func standing(t *testing.T, servers []string, path string) int {
	t.Helper()
	return len(children(t, servers, path+"/"+key))
}

// wantExpiry checks how long after a holder's end its lease passed on: not before its
// TTL was over, less what its last renewal was old, and no later than its session
// expires, and a tick, and what a busy machine needs.
func wantExpiry(t *testing.T, took time.Duration) {
	t.Helper()
	const session = (short + zktest.Tick + zktest.Tick/2) * 6 / 5
	if took < short/2 || took > session+zktest.Tick+slack/3 {
		t.Errorf("the next one was granted after %v, with a TTL of %v and a session timeout of %v", took, short, session)
	}
}

// TestHolderKilled: the next one is granted when the session has expired, and not
// before the lease has.
func TestHolderKilled(t *testing.T) { onBoth(t, holderKilled) }

func holderKilled(t *testing.T, servers []string) {
	t.Helper()
	path := root()
	holder := startChild(t, servers, path, short)
	holder.order(t, "hold")
	holder.hear(t)
	next := begin(t, openDriver(t, servers, path), long)
	next.waits()
	killed := holder.signal(t, syscall.SIGKILL)
	wantExpiry(t, next.granted().at.Sub(killed))
	next.release()
	wantNothing(t, servers, path)
}

// TestClientFrozenPastItsSession: when it runs on it hears that its lease is lost.
func TestClientFrozenPastItsSession(t *testing.T) { onBoth(t, clientFrozenPastItsSession) }

func clientFrozenPastItsSession(t *testing.T, servers []string) {
	t.Helper()
	path := root()
	holder := startChild(t, servers, path, short)
	holder.order(t, "hold")
	holder.hear(t)
	next := begin(t, openDriver(t, servers, path), long)
	next.waits()
	frozen := holder.signal(t, syscall.SIGSTOP)
	wantExpiry(t, next.granted().at.Sub(frozen))
	holder.signal(t, syscall.SIGCONT)
	if line := holder.hear(t); line != "hold lost" {
		t.Errorf("thawed, it says %q", line)
	}
	if err := next.d.Renew(t.Context(), next.hold(), long); err != nil {
		t.Errorf("the next one: %v", err)
	}
	next.release()
	wantNothing(t, servers, path)
}

// TestWaiterInTheMiddleKilled: those behind it are served as if it had not been.
func TestWaiterInTheMiddleKilled(t *testing.T) { onBoth(t, waiterInTheMiddleKilled) }

func waiterInTheMiddleKilled(t *testing.T, servers []string) {
	t.Helper()
	path := root()
	d := openDriver(t, servers, path)
	holder := begin(t, d, long).granted()
	dead := startChild(t, servers, path, short)
	dead.order(t, "wait")
	until(t, "the waiter stands in line", func() bool { return standing(t, servers, path) == 2 })
	last := begin(t, d, long)
	last.waits()
	dead.signal(t, syscall.SIGKILL)
	until(t, "its session expires", func() bool { return standing(t, servers, path) == 2 })
	last.waits()
	holder.release()
	last.granted().release()
	wantNothing(t, servers, path)
}

// TestHalfOfThousandWaitersAreKilled: the rest are all served, in order.
func TestHalfOfThousandWaitersAreKilled(t *testing.T) {
	const processes, waiters = 10, 1000
	const ttl = 10 * time.Second // They all stand in line while the machine is busy.
	servers, path := []string{zktest.Shared(t).Addr}, root()
	holder := begin(t, openDriver(t, servers, path), long).granted()
	var crowd []*child
	for range processes {
		crowd = append(crowd, startChild(t, servers, path, ttl))
	}
	for range waiters / processes {
		for i, c := range crowd {
			c.order(t, fmt.Sprint(i))
		}
	}
	until(t, "all stand in line", func() bool { return standing(t, servers, path) == waiters+1 })
	for i, c := range crowd {
		if i%2 == 1 {
			c.signal(t, syscall.SIGKILL)
		}
	}
	until(t, "the dead have gone", func() bool { return standing(t, servers, path) == waiters/2+1 })
	holder.release()
	type grant struct {
		token uint64
		at    int64
	}
	var grants []grant
	for i, c := range crowd {
		if i%2 == 1 {
			continue
		}
		for range waiters / processes {
			var who int
			var g grant
			if _, err := fmt.Sscan(c.hear(t), &who, &g.token, &g.at); err != nil || who != i {
				t.Fatalf("process %d says %d, %v", i, who, err)
			}
			grants = append(grants, g)
		}
	}
	// They were granted one after the other, so by their times; the token tells
	// the place in line.
	slices.SortFunc(grants, func(a, b grant) int { return cmp.Compare(a.at, b.at) })
	if !slices.IsSortedFunc(grants, func(a, b grant) int { return cmp.Compare(a.token, b.token) }) {
		t.Error("they were not served in order")
	}
	until(t, "the line is empty", func() bool { return standing(t, servers, path) == 0 })
}
