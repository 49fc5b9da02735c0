package sqlitelock

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

// childEnv makes the test binary serve a test as another process.
const childEnv = "STILE_SQLITELOCK_CHILD"

// An order is what a test tells another process to do. The answer is a report
// of the same number.
type order struct {
	N     int
	Do    string // acquire, release, hammer, cpu
	Key   string
	TTL   time.Duration
	Token uint64
	ID    driver.LeaseID
}

type report struct {
	N     int
	Err   string
	ID    driver.LeaseID
	Token uint64
	At    driver.Instant // when the process was done
	CPU   time.Duration  // that it has used since its start
}

// serve runs in the other process. It opens the store at path and obeys until
// its input ends.
func serve(path string) error {
	d, err := Open(context.Background(), path, nil)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	answer := func(r report) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(r) // Nobody listens any more.
	}
	in := json.NewDecoder(os.Stdin)
	for {
		var o order
		if err := in.Decode(&o); err == io.EOF {
			return d.Close()
		} else if err != nil {
			return err
		}
		go func() {
			r := report{N: o.N, ID: o.ID, Token: o.Token}
			if err := obey(d, &o, &r, answer); err != nil {
				r.Err = err.Error()
			}
			answer(r)
		}()
	}
}

func obey(d *Driver, o *order, r *report, answer func(report)) error {
	ctx := context.Background()
	req := request(o.Key)
	req.TTL, r.ID = o.TTL, req.ID
	switch o.Do {
	case "acquire":
		grant, err := d.Acquire(ctx, req)
		r.At, r.Token = driver.SystemClock(), grant.Token
		return err
	case "release":
		err := d.Release(ctx, driver.Hold{Key: o.Key, ID: o.ID, Token: o.Token})
		r.At = driver.SystemClock()
		return err
	case "hammer": // Acquires and releases until it is killed, and reports each token.
		for {
			req.ID = driver.NewLeaseID()
			grant, err := d.Acquire(ctx, req)
			if err != nil {
				return err
			}
			answer(report{N: o.N, ID: req.ID, Token: grant.Token})
			// A machine that stands still for longer than the TTL loses the lease.
			if err := d.Release(ctx, holdOf(&req, grant)); err != nil && !errors.Is(err, driver.ErrLost) {
				return err
			}
		}
	case "cpu":
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			return err
		}
		r.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		return nil
	default:
		return fmt.Errorf("unknown order %q", o.Do)
	}
}

// A child is another process with the store open.
type child struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser

	mu      sync.Mutex
	next    int
	reports map[int]chan report
	ended   chan struct{}
}

func spawn(t testing.TB, path string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(self), reports: make(map[int]chan report), ended: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childEnv+"="+path)
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go c.listen(bufio.NewReader(out))
	t.Cleanup(func() {
		_ = c.in.Close() // A child ends when its input does.
		select {
		case <-c.ended:
		case <-time.After(patience):
			t.Errorf("another process has not ended")
			c.kill()
		}
		_ = c.cmd.Wait() // It may have been killed.
	})
	return c
}

func (c *child) listen(out io.Reader) {
	defer close(c.ended)
	decoder := json.NewDecoder(out)
	for {
		var r report
		if decoder.Decode(&r) != nil {
			return
		}
		c.mu.Lock()
		reports := c.reports[r.N]
		c.mu.Unlock()
		reports <- r
	}
}

// order sends an order. The channel has room for what one run of a test needs.
func (c *child) order(o order) <-chan report {
	c.mu.Lock()
	c.next++
	o.N = c.next
	reports := make(chan report, 10_000)
	c.reports[o.N] = reports
	c.mu.Unlock()
	if err := json.NewEncoder(c.in).Encode(o); err != nil {
		reports <- report{Err: fmt.Sprintf("order another process: %v", err)}
	}
	return reports
}

// get waits for a report that must be good. It ends the test otherwise, so it is
// called from the goroutine of the test.
func (c *child) get(reports <-chan report) report {
	c.t.Helper()
	r := c.await(reports)
	if r.Err != "" {
		c.t.Fatalf("another process: %s", r.Err)
	}
	return r
}

// await waits for a report.
func (c *child) await(reports <-chan report) report {
	select {
	case r := <-reports:
		return r
	case <-c.ended:
	case <-time.After(patience):
		return report{Err: "no answer"}
	}
	select {
	case r := <-reports: // It was the last that the process said.
		return r
	default:
		return report{Err: "it has ended"}
	}
}

func (c *child) kill() {
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Fatalf("kill another process: %v", err)
	}
	<-c.ended
	_ = c.cmd.Wait() // It was killed.
}
