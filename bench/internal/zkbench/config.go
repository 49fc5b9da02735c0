package zkbench

import (
	"errors"
	"flag"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Config says what to run.
type Config struct {
	Rounds   int            // how often each case runs, all cases taking turns
	Duration time.Duration  // of one run of the shorter items; some take a multiple
	Warm     time.Duration  // how long each case runs before the first round, without being counted
	Workers  int            // how many clients where there are many
	Only     *regexp.Regexp // the items to run; nil: all
	Libs     *regexp.Regexp // the libraries; nil: all
	JSON     string         // a file for all figures; empty: none
	Profile  string         // a file for a profile of this program's processor time; empty: none
	Waiters  []int          // how long the long lines are
	Disk     bool           // the server's data on disk, not in memory
}

var errUsage = errors.New("wrong usage")

// Parse reads flags.
func Parse(args []string, usage func(flags *flag.FlagSet)) (Config, error) {
	c := Config{}
	flags := flag.NewFlagSet("bench zookeeper", flag.ContinueOnError)
	flags.IntVar(&c.Rounds, "rounds", 5, "how often each case runs")
	flags.DurationVar(&c.Duration, "duration", 2*time.Second, "how long one run takes; contention takes twice, and idle waiters four times as long")
	flags.DurationVar(&c.Warm, "warm", 3*time.Second, "how long each case runs uncounted before the first round, so that the Java of server and Curator is compiled")
	flags.IntVar(&c.Workers, "workers", 64, "how many clients")
	flags.StringVar(&c.JSON, "json", "", "write all figures to this `file`")
	flags.StringVar(&c.Profile, "cpuprofile", "", "write a profile of the Go clients' processor time to this `file`")
	flags.BoolVar(&c.Disk, "disk", false, "keep the server's data on disk, in the folder for temporary files ($TMPDIR), and not in memory (/dev/shm)")
	only := flags.String("only", "", "run only the items whose name this `regexp` matches")
	libs := flags.String("libraries", "", "run only the libraries whose name this `regexp` matches")
	waiters := flags.String("waiters", "100,5000", "the `lengths` of the long lines")
	usage(flags)
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("%w: unknown argument %q", errUsage, flags.Arg(0))
	}
	if c.Rounds < 1 || c.Duration < time.Millisecond || c.Workers < 2 || c.Warm < 0 {
		return c, fmt.Errorf("%w: at least 1 round, 2 workers, and a millisecond", errUsage)
	}
	for text := range strings.SplitSeq(*waiters, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return c, fmt.Errorf("%w: -waiters takes numbers with commas between, not %q", errUsage, text)
		}
		c.Waiters = append(c.Waiters, n)
	}
	var err error
	if c.Only, err = pattern("only", *only); err != nil {
		return c, err
	}
	c.Libs, err = pattern("libraries", *libs)
	return c, err
}

// pattern compiles the value of a flag; of no value it is nil.
func pattern(name, value string) (*regexp.Regexp, error) {
	if value == "" {
		return nil, nil //nolint:nilnil // No pattern is a choice, and no error.
	}
	re, err := regexp.Compile(value)
	if err != nil {
		return nil, fmt.Errorf("%w: -%s: %w", errUsage, name, err)
	}
	return re, nil
}
