package redisbench

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
	Addr     string         // a server that runs; empty: start one
	Rounds   int            // how often each case runs, all cases taking turns
	Duration time.Duration  // of one run of the shorter items; some take a multiple
	Workers  int            // how many clients or goroutines where there are many
	Only     *regexp.Regexp // the items to run; nil: all
	Libs     *regexp.Regexp // the libraries; nil: all
	JSON     string         // a file for all figures; empty: none
	Profile  string         // a file for a profile of this program's processor time; empty: none
	Waiters  []int          // how long the lines of stile alone are
	Keys     int            // how many different keys stile locks once
	KeyTTL   time.Duration  // the TTL of those leases, at least 1 s
	Keep     time.Duration  // the retention of those keys after their use
}

var errUsage = errors.New("wrong usage")

// Parse reads flags.
func Parse(args []string, usage func(flags *flag.FlagSet)) (Config, error) {
	c := Config{}
	flags := flag.NewFlagSet("bench redis", flag.ContinueOnError)
	flags.StringVar(&c.Addr, "addr", "", "`host:port` of a server that runs and is nobody else's now; default: one is started")
	flags.IntVar(&c.Rounds, "rounds", 5, "how often each case runs")
	flags.DurationVar(&c.Duration, "duration", 2*time.Second, "how long one run takes; idle waiters and slow contention take four times as long")
	flags.IntVar(&c.Workers, "workers", 64, "how many clients")
	flags.StringVar(&c.JSON, "json", "", "write all figures to this `file`")
	flags.StringVar(&c.Profile, "cpuprofile", "", "write a profile of the clients' processor time to this `file`")
	flags.IntVar(&c.Keys, "keys", 1_000_000, "how many different keys to lock once")
	flags.DurationVar(&c.KeyTTL, "key-ttl", 2*time.Second, "the TTL of those leases")
	flags.DurationVar(&c.Keep, "retention", 5*time.Second, "the retention of those keys")
	only := flags.String("only", "", "run only the items whose name this `regexp` matches")
	libs := flags.String("libraries", "", "run only the libraries whose name, with variant, this `regexp` matches")
	waiters := flags.String("waiters", "10,100,1000,10000", "the `lengths` of the lines of stile alone")
	usage(flags)
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("%w: unknown argument %q", errUsage, flags.Arg(0))
	}
	if c.Rounds < 1 || c.Duration <= 0 || c.Workers < 2 || c.Keys < 1 {
		return c, fmt.Errorf("%w: at least 1 round, 2 workers, 1 key, and some duration", errUsage)
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
