package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stilelock/stile/tools/internal/repo"
)

func main() {
	// SIGHUP as well: a terminal that goes away must not leave test processes behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// options is what the command line asks for.
type options struct {
	race     bool
	timeout  time.Duration
	deadline time.Duration
	filter   string
	modules  string
	ci       bool
	extra    []string // handed to go test as they are
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("testsum", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.BoolVar(&o.race, "race", true, "run with the race detector")
	fs.DurationVar(&o.timeout, "timeout", 15*time.Minute, "`limit` of one package's tests")
	fs.DurationVar(&o.deadline, "deadline", 50*time.Minute, "`limit` of the whole run")
	fs.StringVar(&o.filter, "run", "", "run the tests that match this `pattern` only")
	fs.StringVar(&o.modules, "modules", "", "run these modules only, a space separated `list` of their folders")
	fs.BoolVar(&o.ci, "ci", os.Getenv("CI") == "true", "a skip that is not allowed is a failure (default: $CI is true)")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.extra = fs.Args()
	return o, nil
}

// run returns the exit status: 0 when tests ran and none failed, 2 when the command line is wrong, else 1.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	total, err := testAll(ctx, o, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "testsum: %v\n", err)
		total.failed++
	}
	fmt.Fprintln(stdout, total.lastLine())
	if !total.good() {
		return 1
	}
	return 0
}

func testAll(ctx context.Context, o options, stdout, stderr io.Writer) (counts, error) {
	root, err := repo.FindRoot(".")
	if err != nil {
		return counts{}, err
	}
	mods, err := selectModules(root, o.modules)
	if err != nil {
		return counts{}, err
	}
	allowed, err := readAllowed(filepath.Join(root, "scripts", "allowed-skips.txt"))
	if err != nil {
		return counts{}, err
	}
	main, err := repo.ReadMod(ctx, root)
	if err != nil {
		return counts{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.deadline, errDeadline)
	defer cancel()
	var results []*result
	for _, m := range mods {
		r := &result{dir: m.Dir, rootPath: main.Module.Path, ci: o.ci, allowed: allowed}
		results = append(results, r)
		fmt.Fprintf(stdout, "\n== %s\n", m.Dir)
		testModule(ctx, r, filepath.Join(root, filepath.FromSlash(m.Dir)), goTestArgs(o, m), stdout, stderr)
		r.close(o.filter != "", stdout)
	}
	return summarise(results, stdout), nil
}

func selectModules(root, only string) ([]repo.Module, error) {
	mods, err := repo.Modules(root)
	if err != nil || only == "" {
		return mods, err
	}
	var picked []repo.Module
	for _, dir := range strings.Fields(only) {
		i := slices.IndexFunc(mods, func(m repo.Module) bool { return m.Dir == filepath.ToSlash(filepath.Clean(dir)) })
		if i < 0 {
			return nil, fmt.Errorf("%s is not a module of %s", dir, repo.ListFile)
		}
		picked = append(picked, mods[i])
	}
	return picked, nil
}

func goTestArgs(o options, m repo.Module) []string {
	args := []string{"test", "-json", "-count=1", "-shuffle=on", fmt.Sprintf("-timeout=%s", o.timeout), fmt.Sprintf("-p=%d", m.Parallel)}
	if o.race {
		args = append(args, "-race")
	}
	if o.filter != "" {
		args = append(args, "-run="+o.filter)
	}
	return append(append(args, o.extra...), "./...")
}
