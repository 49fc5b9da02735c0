package redislock_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/redistest"
	"github.com/stilelock/stile/redislock/internal/script"
)

const crowdURL = "STILE_REDISLOCK_CROWD_URL"

// serveCrowd is a process of the crowd: for each number that it reads it stands
// in line, and it writes the number and the token when it was granted.
func serveCrowd() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d, err := driver.Open(ctx, os.Getenv(crowdURL))
	if err != nil {
		return err
	}
	locks := stile.New(d, nil)
	defer locks.Close()
	var mu sync.Mutex
	var work sync.WaitGroup
	numbers := bufio.NewScanner(os.Stdin)
	for numbers.Scan() {
		number := numbers.Text()
		work.Go(func() {
			err := locks.Do(ctx, "k", nil, func(_ context.Context, lease *stile.Lease) error {
				mu.Lock()
				defer mu.Unlock()
				fmt.Println(number, lease.Token())
				return nil
			})
			if err != nil && !errors.Is(err, context.Canceled) {
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
	cancel() // Standard input has ended: so does whoever still waits.
	work.Wait()
	return nil
}

// A member is one process of the crowd.
type member struct {
	cmd    *exec.Cmd
	orders io.WriteCloser
	lines  chan string // closed at its end
	stderr strings.Builder
}

func startMember(t *testing.T, url string) *member {
	t.Helper()
	binary, err := os.Executable()
	check(t, "find the test binary", err)
	m := &member{lines: make(chan string, 1000)}
	m.cmd = exec.Command(binary, "-test.run=^$")
	m.cmd.Env = append(os.Environ(), roleVariable+"=crowd", crowdURL+"="+url)
	m.cmd.Stderr = &m.stderr
	m.orders, err = m.cmd.StdinPipe()
	check(t, "make a pipe", err)
	answers, err := m.cmd.StdoutPipe()
	check(t, "make a pipe", err)
	check(t, "start a process", m.cmd.Start())
	go func() {
		defer close(m.lines)
		for lines := bufio.NewScanner(answers); lines.Scan(); {
			m.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		m.orders.Close()
		timer := time.AfterFunc(slack, func() { _ = m.cmd.Process.Kill() })
		defer timer.Stop()
		for range m.lines { // What it still writes is nobody's any more.
		}
		_ = m.cmd.Wait() // Half of them were killed.
		if text := m.stderr.String(); text != "" {
			t.Logf("a process of the crowd wrote: %s", text[:min(500, len(text))])
		}
	})
	return m
}

// TestHalfOfThousandWaitersAreKilled: of 1,000 waiters in 10 processes half
// are killed in line. The rest are all served, in their order, and without
// waiting for the dead.
func TestHalfOfThousandWaitersAreKilled(t *testing.T) {
	t.Parallel()
	const processes, waiters = 10, 1000
	s := redistest.Start(t)
	locks := openLocks(t, s.URL("prefix="+prefix))
	holder := acquire(t, locks, "k", nil)
	names, err := script.KeysFor(prefix, "k")
	check(t, "name keys", err)
	admin, err := s.Dial()
	check(t, "dial", err)
	defer admin.Close()
	var crowd []*member
	for range processes {
		crowd = append(crowd, startMember(t, s.URL("prefix="+prefix)))
	}
	var want []string
	for i := range waiters {
		// Which process is next follows no pattern that the line could share.
		which := (i*7 + i/processes*3) % processes
		_, err := fmt.Fprintln(crowd[which].orders, i)
		check(t, "order a process", err)
		until(t, "the waiter stands in line", func() bool {
			n, err := admin.Do("ZCARD", names[script.Line])
			return err == nil && n == int64(i+1)
		})
		if which%2 == 0 {
			want = append(want, fmt.Sprint(i))
		}
	}
	listening := subscribers(t, s)
	for i, m := range crowd {
		if i%2 == 1 {
			check(t, "kill a process", m.cmd.Process.Kill())
		}
	}
	until(t, "the server knows that they are gone", func() bool { return subscribers(t, s) == listening-processes/2 })
	begin := time.Now()
	release(t, holder)
	type grant struct {
		number string
		token  uint64
	}
	var got []grant
	for i, m := range crowd {
		if i%2 == 1 {
			continue
		}
		mine := 0
		for range waiters / processes {
			select {
			case line, open := <-m.lines:
				var g grant
				if _, err := fmt.Sscan(line, &g.number, &g.token); !open || err != nil {
					t.Fatalf("process %d ends with %q", i, line)
				}
				got = append(got, g)
				mine++
			case <-time.After(3 * slack):
				t.Fatalf("process %d has had %d turns and no more after %v", i, mine, 3*slack)
			}
		}
	}
	t.Logf("%d waiters were served in %v, past %d dead", len(got), time.Since(begin), waiters-len(want))
	slices.SortFunc(got, func(a, b grant) int {
		if a.token < b.token {
			return -1
		}
		return 1
	})
	for i, g := range got {
		if g.number != want[i] {
			t.Fatalf("the %dth turn was that of %s; want %s", i, g.number, want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d turns; want %d", len(got), len(want))
	}
	until(t, "the key is free", func() bool { return len(get(t, locks, "k").Holders) == 0 })
	wantNothing(t, s, "k")
}
