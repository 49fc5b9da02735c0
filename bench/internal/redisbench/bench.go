package redisbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/stilelock/stile/bench/internal/report"
	"github.com/stilelock/stile/bench/internal/work"
)

// ErrOverlap is for two clients that held one key at the same time.
var ErrOverlap = errors.New("two clients held the same key at once")

// A bench is one run of the program.
type bench struct {
	config Config
	server *server
	out    io.Writer
	broken []error // promises that were seen broken
}

// Run runs what config says, and writes tables to out and, if asked for, JSON
// to a file. It returns an error too if two held one key at once, or if a
// promise of stile was broken.
func Run(ctx context.Context, config Config, out io.Writer) (result *report.Report, err error) {
	s, err := connect(ctx, config.Addr)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if config.Profile != "" {
		file, err := os.Create(config.Profile)
		if err != nil {
			return nil, fmt.Errorf("write profile: %w", err)
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		defer func() {
			pprof.StopCPUProfile()
			err = errors.Join(err, file.Close())
		}()
	}
	b := &bench{config: config, server: s, out: out}
	r := &report.Report{Started: time.Now(), Server: s.about, Machine: machine()}
	for _, l := range libraries() {
		r.Notes = append(r.Notes, l.String()+": "+l.about)
	}
	fmt.Fprintf(out, "server: %s\nmachine: %s\nclients: goroutines of one process beside the server\n", r.Server, r.Machine)
	fmt.Fprintf(out, "rounds: %d, all libraries take turns; figures are the median (least..greatest) of the rounds\n", config.Rounds)
	for _, note := range r.Notes {
		fmt.Fprintf(out, "- %s\n", note)
	}
	var chosen []*contest
	for _, c := range contests(config) {
		if config.Only == nil || config.Only.MatchString(c.item.Name) {
			chosen = append(chosen, c)
			r.Items = append(r.Items, c.item)
		}
	}
	for round := range config.Rounds {
		for _, c := range chosen {
			if c.rounds > 0 && round >= c.rounds {
				continue
			}
			if err := b.round(ctx, c, round); err != nil {
				return nil, err
			}
		}
	}
	for _, item := range r.Items {
		item.Finish(stileName)
		if err := item.Write(out, stileName); err != nil {
			return nil, err
		}
	}
	if config.JSON != "" {
		if err := writeJSON(r, config.JSON); err != nil {
			return nil, err
		}
	}
	return r, errors.Join(b.broken...)
}

// round runs every case of a contest once, beginning with another one each time.
func (b *bench) round(ctx context.Context, c *contest, round int) error {
	for i := range c.runs {
		n := (i + round) % len(c.runs)
		row := c.item.Rows[n]
		if err := b.server.clear(ctx); err != nil {
			return err
		}
		// A key of its own, so that nothing of an earlier run is in its way.
		key := fmt.Sprintf("bench/%d/%s/%d/%d", time.Now().UnixNano(), c.item.Name, n, round)
		limited, cancel := context.WithTimeout(ctx, b.limit(c))
		values, err := c.runs[n](limited, b, key)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && values == nil && row.Library != stileName:
			// Another library's trouble is worth a line, and ends nothing.
			row.Failed = append(row.Failed, fmt.Sprintf("round %d: %v", round+1, err))
			fmt.Fprintf(b.out, "round %d %s, %s: failed: %v\n", round+1, c.item.Name, row.Title(), err)
			continue
		case err != nil && values == nil:
			return fmt.Errorf("%s, %s, round %d: %w", c.item.Name, row.Title(), round+1, err)
		case err != nil:
			b.broken = append(b.broken, fmt.Errorf("%s, %s, round %d: %w", c.item.Name, row.Title(), round+1, err))
		}
		row.Add(values)
		first := c.item.Metrics[0]
		fmt.Fprintf(b.out, "round %d %s, %s: %s %s %s\n", round+1, c.item.Name, row.Title(), first.Name, report.Number(values[first.Name]), first.Unit)
	}
	return nil
}

// limit is how long a run may take at most, which none does that works.
func (b *bench) limit(c *contest) time.Duration {
	if c.alone {
		return time.Hour
	}
	return 30*time.Second + 10*long*b.config.Duration
}

// overlapped makes an error of overlaps.
func (b *bench) overlapped(l *library, n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w, %d times", l, ErrOverlap, n)
}

// dial makes n clients, and returns what closes them.
func (b *bench) dial(ctx context.Context, l *library, n, workers int) (clients []work.Client, hangUp func(), err error) {
	hangUp = func() {
		for _, c := range clients {
			c.Close()
		}
	}
	for range n {
		c, err := l.dial(ctx, b.server.addr, workers)
		if err != nil {
			hangUp()
			return nil, nil, fmt.Errorf("connect %s: %w", l, err)
		}
		clients = append(clients, c)
	}
	return clients, hangUp, nil
}

func machine() string {
	return fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}

func writeJSON(r *report.Report, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return errors.Join(r.WriteJSON(file), file.Close())
}
