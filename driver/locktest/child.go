package locktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stilelock/stile/driver"
)

// childVariable tells a process that it is a child of the suite.
const childVariable = "STILE_LOCKTEST_CHILD"

// childReady says that this program would serve as a child.
var childReady atomic.Bool

// Child makes the test binary usable as the other process of the suite's
// cases. Call it first thing in TestMain. In a child process it serves the
// suite over standard input and output, ends the process and never returns;
// otherwise it returns at once. The child opens stores with open, which gets
// Store.URL; nil stands for driver.Open.
func Child(open func(ctx context.Context, url string) (driver.Driver, error)) {
	childReady.Store(true)
	if os.Getenv(childVariable) == "" {
		return
	}
	if open == nil {
		open = driver.Open
	}
	if err := serveChild(os.Stdin, os.Stdout, open); err != nil {
		fmt.Fprintln(os.Stderr, "locktest child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// An order is one line from the suite to a child.
type order struct {
	// N numbers the orders; the report carries it back. The reports of
	// orders that wait come when they come.
	N int
	// Op is open, acquire, renew, release or count.
	Op string

	URL     string         `json:",omitempty"`
	Key     string         `json:",omitempty"`
	ID      driver.LeaseID `json:",omitzero"`
	Mode    driver.Mode    `json:",omitzero"`
	Limit   int            `json:",omitempty"`
	TTL     time.Duration  `json:",omitempty"`
	NoWait  bool           `json:",omitempty"`
	Owner   string         `json:",omitempty"`
	Token   uint64         `json:",omitempty"`
	File    string         `json:",omitempty"` // count: where the counter is
	Times   int            `json:",omitempty"` // count: how often
	Timeout time.Duration  `json:",omitempty"`
}

// A report is one line from a child to the suite.
type report struct {
	N     int
	Token uint64
	TTL   time.Duration
	// From, Sent and Got are readings of the child's clock.
	From, Sent, Got driver.Instant
	// Error is the text of an error, and Is what it matches.
	Error string
	Is    []string
}

// childErrors are the errors that cross the line by name.
var childErrors = map[string]error{
	"busy": driver.ErrBusy, "lost": driver.ErrLost, "unavailable": driver.ErrUnavailable, "ambiguous": driver.ErrAmbiguous,
	"limit": driver.ErrLimitMismatch, "invalid": driver.ErrInvalid, "closed": driver.ErrClosed,
	"deadline": context.DeadlineExceeded, "canceled": context.Canceled, "unsupported": errors.ErrUnsupported,
}

// A childError is an error that happened in a child.
type childError struct {
	text string
	is   []string
}

// Error returns the error's text in the child.
func (e *childError) Error() string { return "in another process: " + e.text }

// Is reports whether the error matched target in the child.
func (e *childError) Is(target error) bool {
	for _, name := range e.is {
		if childErrors[name] == target {
			return true
		}
	}
	return false
}

// serveChild obeys orders until in ends.
func serveChild(in io.Reader, out io.Writer, open func(context.Context, string) (driver.Driver, error)) error {
	var mu sync.Mutex
	encoder := json.NewEncoder(out)
	answer := func(r report) error {
		mu.Lock()
		defer mu.Unlock()
		return encoder.Encode(r)
	}
	if err := answer(report{}); err != nil { // Order 0: here I am.
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var d driver.Driver
	var work sync.WaitGroup
	decoder := json.NewDecoder(in)
	for {
		var o order
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("read order: %w", err)
		}
		if o.Op == "open" {
			var err error
			d, err = open(ctx, o.URL)
			if err := answer(reportOf(o, report{}, err)); err != nil {
				return err
			}
			continue
		}
		work.Go(func() {
			r, err := obey(ctx, d, o)
			_ = answer(reportOf(o, r, err)) // The suite may have gone away.
		})
	}
	cancel()
	work.Wait()
	if d == nil {
		return nil
	}
	return d.Close()
}

func reportOf(o order, r report, err error) report {
	r.N = o.N
	if err != nil {
		r.Error = err.Error()
		for name, target := range childErrors {
			if errors.Is(err, target) {
				r.Is = append(r.Is, name)
			}
		}
	}
	return r
}

// obey carries out one order.
func obey(ctx context.Context, d driver.Driver, o order) (report, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	hold := driver.Hold{Key: o.Key, ID: o.ID, Token: o.Token, TTL: o.TTL}
	switch o.Op {
	case "acquire":
		return acquireForSuite(ctx, d, o)
	case "renew":
		return report{}, d.Renew(ctx, hold, o.TTL)
	case "release":
		return report{}, d.Release(ctx, hold)
	case "count":
		for range o.Times {
			if err := countInFile(ctx, d, o); err != nil {
				return report{}, err
			}
		}
		return report{}, nil
	default:
		return report{}, fmt.Errorf("no order %q", o.Op)
	}
}

func acquireForSuite(ctx context.Context, d driver.Driver, o order) (report, error) {
	r := report{Sent: driver.SystemClock()}
	grant, err := d.Acquire(ctx, driver.Request{
		Key: o.Key, ID: o.ID, Mode: o.Mode, Limit: o.Limit, TTL: o.TTL, NoWait: o.NoWait,
		Tokens: 1, Owner: o.Owner, Now: driver.SystemClock,
	})
	r.Got = driver.SystemClock()
	r.Token, r.TTL, r.From = grant.Token, grant.TTL, grant.From
	if errors.Is(err, driver.ErrAmbiguous) {
		err = errors.Join(err, d.Release(context.WithoutCancel(ctx), driver.Hold{Key: o.Key, ID: o.ID}))
	}
	return r, err
}

// countInFile adds one to the counter in a file, and its token to the list
// beside it, under the lock and nothing else.
func countInFile(ctx context.Context, d driver.Driver, o order) error {
	o.ID = driver.NewLeaseID()
	r, err := acquireForSuite(ctx, d, o)
	if err != nil {
		return err
	}
	err = addOne(o.File, r.Token)
	return errors.Join(err, d.Release(ctx, driver.Hold{Key: o.Key, ID: o.ID, Token: r.Token, TTL: o.TTL}))
}

func addOne(file string, token uint64) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read counter: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("read counter: %w", err)
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(n+1)), 0o600); err != nil {
		return fmt.Errorf("write counter: %w", err)
	}
	tokens, err := os.OpenFile(file+".tokens", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open list of tokens: %w", err)
	}
	_, err = fmt.Fprintln(tokens, token)
	if err := errors.Join(err, tokens.Close()); err != nil {
		return fmt.Errorf("write list of tokens: %w", err)
	}
	return nil
}
