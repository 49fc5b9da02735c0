package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
)

// runFlags are what `stile run` was asked for.
type runFlags struct {
	store     *storeFlag
	ttl       time.Duration
	wait      time.Duration
	forever   bool // --wait was not given
	shared    bool
	limit     int
	minHold   time.Duration
	maxHold   time.Duration
	onBusy    string
	busyExit  int
	killAfter time.Duration
	owner     string
	quiet     bool
	verbose   bool
}

const runLong = `Run a command while holding a key, so that nobody else who asks for the key works at the same time.

Without --wait it stands in line until the key is free. The command gets standard input, output and error,
the terminal, and signals, as if it had been started without stile; no shell is in between. It finds
STILE_KEY, STILE_TOKEN, STILE_LEASE and STILE_DEADLINE in its environment. STILE_TOKEN is the fencing token:
a number greater than that of every earlier holder. STILE_DEADLINE is when the lease ends unless it is
renewed, which happens in the background.

If the lease cannot be renewed in time, the command gets SIGTERM at the lease's deadline less --kill-after,
and is ended with all that it started before the deadline, so that the next holder never meets it. That also
holds when stile itself is killed or frozen. What the command leaves in the background when it ends by itself
is left alone.

Exit status: the command's own, or 128+n if signal n ended it; 75 if the key is busy or the wait is over; 69 if
the store is unavailable or unreadable; 71 if the lease was lost; 64 for wrong usage; 126 or 127 if the command
cannot be executed or is not found; 128+n if signal n came while waiting.`

func newRun(e *env) *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:     "run [flags] KEY -- COMMAND [ARG...]",
		Short:   "Run a command while holding a key",
		Long:    runLong,
		Example: "  stile run nightly -- ./backup.sh\n  stile run --wait 10s --ttl 30s deploy/web -- make deploy\n  stile run --limit 4 --on-busy skip api -- ./sync",
		// After KEY -- everything is the command's; the check is ours.
		Args:                  cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true,
	}
	f.store = addStoreFlag(cmd, e)
	flags := cmd.Flags()
	flags.DurationVar(&f.ttl, "ttl", stile.DefaultTTL, "how long the lease lives without renewal, at least 1s")
	flags.DurationVar(&f.wait, "wait", 0, "how long to stand in line; 0 is not at all (default: for ever)")
	flags.BoolVar(&f.shared, "shared", false, "share the key with other shared holders")
	flags.IntVar(&f.limit, "limit", 1, "how many may hold the key at once; everybody must give the same")
	flags.DurationVar(&f.minHold, "min-hold", 0, "keep the key taken for at least this long")
	flags.DurationVar(&f.maxHold, "max-hold", 0, "end the command after this long")
	flags.StringVar(&f.onBusy, "on-busy", "fail", "what to do when the key is busy or the wait is over: `fail|skip`; skip exits 0 quietly")
	flags.IntVar(&f.busyExit, "busy-exit-code", exitBusy, "exit status when the key is busy or the wait is over")
	flags.DurationVar(&f.killAfter, "kill-after", 5*time.Second, "time between SIGTERM and the end; at most a third of the TTL")
	flags.StringVar(&f.owner, "owner", "", "what others see as the holder (default: host:pid and the command's name)")
	flags.BoolVar(&f.quiet, "quiet", false, "no live line while waiting, and no word when the key is busy")
	flags.BoolVar(&f.verbose, "verbose", false, "say what happens to the lease")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, command, err := splitAtDash(args, cmd.ArgsLenAtDash())
		if err != nil {
			return err
		}
		f.forever = !cmd.Flags().Changed("wait")
		if err := f.check(cmd, key); err != nil {
			return err
		}
		if f.owner == "" {
			f.owner = defaultOwner(command[0])
		}
		return runCommand(e, f, key, command)
	}
	return cmd
}

// splitAtDash tells the key from the command. A key that begins with a dash
// comes after a first --: stile run -- -key -- COMMAND.
func splitAtDash(args []string, dash int) (key string, command []string, err error) {
	if dash == 0 && len(args) > 1 && args[1] == "--" {
		args, dash = append(args[:1:1], args[2:]...), 1
	}
	switch {
	case dash == 1 && len(args) > 1:
		return args[0], args[1:], nil
	case dash == 1:
		return "", nil, usagef("no command after --; usage: stile run [flags] KEY -- COMMAND [ARG...]")
	case dash < 0 && len(args) > 1:
		return "", nil, usagef("put -- before the command: stile run [flags] %s -- %s", oneLine(args[0]), oneLine(strings.Join(args[1:], " ")))
	default:
		return "", nil, usagef("want one key and a command; usage: stile run [flags] KEY -- COMMAND [ARG...]")
	}
}

// check finds what can never work before anything is started.
func (f *runFlags) check(cmd *cobra.Command, key string) error {
	if err := driver.CheckKey(key); err != nil {
		return fmt.Errorf("check key: %w", err)
	}
	for name, d := range map[string]time.Duration{
		"wait": f.wait, "min-hold": f.minHold, "max-hold": f.maxHold, "kill-after": f.killAfter,
	} {
		if d < 0 {
			return usagef("--%s %v is negative", name, d)
		}
	}
	switch {
	case f.ttl < stile.MinTTL:
		return usagef("--ttl %v is too short: at least %v", f.ttl, stile.MinTTL)
	case f.limit < 1:
		return usagef("--limit %d: at least 1", f.limit)
	case f.shared && f.limit != 1:
		return usagef("--shared and --limit exclude each other")
	case f.onBusy != "fail" && f.onBusy != "skip":
		return usagef("--on-busy %q: want fail or skip", f.onBusy)
	case f.busyExit < 0 || f.busyExit > 255:
		return usagef("--busy-exit-code %d: want 0 to 255", f.busyExit)
	case f.quiet && f.verbose:
		return usagef("--quiet and --verbose exclude each other")
	case cmd.Flags().Changed("owner") && f.owner == "":
		return usagef("--owner is empty")
	}
	return nil
}

// options are the flags as the library takes them.
func (f *runFlags) options() *stile.Options {
	o := &stile.Options{
		TTL: f.ttl, Wait: f.wait, Shared: f.shared, Limit: f.limit,
		MinHold: f.minHold, MaxHold: f.maxHold, Owner: f.owner,
	}
	if f.shared {
		o.Limit = 0
	}
	return o
}

// leaseTTL is the TTL that the lease has: a maximum hold shortens it.
func (f *runFlags) leaseTTL() time.Duration {
	if f.maxHold > 0 {
		return min(f.ttl, f.maxHold)
	}
	return f.ttl
}

// defaultOwner is what others see: the host, this process and the command.
func defaultOwner(command string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	owner := strings.ToValidUTF8(fmt.Sprintf("%s:%d %s", host, os.Getpid(), filepath.Base(command)), "�")
	for len(owner) > driver.MaxOwnerBytes {
		owner = strings.ToValidUTF8(owner[:driver.MaxOwnerBytes], "")
	}
	return clean(owner)
}
