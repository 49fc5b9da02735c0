package zkbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/stilelock/stile/bench/internal/report"
)

// ErrOverlap is for two clients that held one key at the same time.
var ErrOverlap = errors.New("two clients held the same key at once")

// A bench is one run of the program.
type bench struct {
	config   Config
	duration time.Duration // of one run now
	server   *server
	java     *curator // nil: there is none on this machine
	out      io.Writer
	broken   []error // promises that were seen broken
}

// Run runs what config says, and writes tables to out and, if asked for, JSON
// to a file. It returns an error too if two held one key at once, or if a
// promise of stile was broken.
func Run(ctx context.Context, config Config, out io.Writer) (result *report.Report, err error) {
	b := &bench{config: config, out: out}
	if b.server, err = startServer(ctx, config.Disk); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.server.close()) }()
	chosen, err := b.libraries(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if b.java != nil {
			err = errors.Join(err, b.java.close())
		}
	}()
	stop, err := profile(config.Profile)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	r := &report.Report{Started: time.Now(), Server: b.server.about, Machine: machine()}
	for _, l := range chosen {
		r.Notes = append(r.Notes, l.name+": "+l.about)
	}
	fmt.Fprintf(out, "server: %s\nmachine: %s\nclients: one process beside the server, and one more for Curator\n", r.Server, r.Machine)
	fmt.Fprintf(out, "rounds: %d, all libraries take turns; figures are the median (least..greatest) of the rounds\n", config.Rounds)
	for _, note := range r.Notes {
		fmt.Fprintf(out, "- %s\n", note)
	}
	contests := slices.DeleteFunc(contests(config, chosen), func(c *contest) bool {
		return config.Only != nil && !config.Only.MatchString(c.item.Name)
	})
	if err := b.rounds(ctx, contests); err != nil {
		return nil, err
	}
	for _, c := range contests {
		r.Items = append(r.Items, c.item)
		c.item.Finish(stileName)
		if err := c.item.Write(out, stileName); err != nil {
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

// libraries returns those that were asked for, and starts Curator if it is one
// of them. Without Curator on the machine the others run, and out says so.
func (b *bench) libraries(ctx context.Context) ([]*library, error) {
	var chosen []*library
	for _, l := range libraries() {
		if b.config.Libs != nil && !b.config.Libs.MatchString(l.name) {
			continue
		}
		if l.dial == nil {
			var err error
			if b.java, err = startCurator(ctx); errors.Is(err, errNoJar) {
				fmt.Fprintf(b.out, "%s does not take part: %v\n", l.name, err)
				continue
			} else if err != nil {
				return nil, err
			}
		}
		chosen = append(chosen, l)
	}
	return chosen, nil
}

// rounds has everything run so that what is compiled while it runs is compiled,
// and then runs what counts.
func (b *bench) rounds(ctx context.Context, contests []*contest) error {
	if b.config.Warm > 0 {
		fmt.Fprintf(b.out, "warming up: %v each, not counted\n", b.config.Warm)
		b.duration = b.config.Warm
		for _, c := range contests {
			for n := range c.runs {
				if !c.warm {
					continue
				}
				if _, err := b.one(ctx, c, n, -1); err != nil {
					return fmt.Errorf("%s, %s, warming up: %w", c.item.Name, c.item.Rows[n].Title(), err)
				}
			}
		}
	}
	b.duration = b.config.Duration
	for round := range b.config.Rounds {
		for _, c := range contests {
			if c.rounds > 0 && round >= c.rounds {
				continue
			}
			if err := b.round(ctx, c, round); err != nil {
				return err
			}
		}
	}
	return nil
}

// one runs one case.
func (b *bench) one(ctx context.Context, c *contest, n, round int) (report.Values, error) {
	// A key of its own, so that nothing of an earlier run is in its way.
	key := fmt.Sprintf("bench-%d-%s-%d-%d", time.Now().UnixNano(), c.item.Name, n, round+1)
	ctx, cancel := context.WithTimeout(ctx, b.limit())
	defer cancel()
	return c.runs[n](ctx, b, key)
}

// round runs every case of a contest once, beginning with another one each time.
func (b *bench) round(ctx context.Context, c *contest, round int) error {
	for i := range c.runs {
		n := (i + round) % len(c.runs)
		row := c.item.Rows[n]
		values, err := b.one(ctx, c, n, round)
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
func (b *bench) limit() time.Duration {
	return 30*time.Second + 10*long*b.duration + 2*lineLimit
}

// profile begins to write a profile to a file, and returns what ends that.
func profile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("write profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
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
