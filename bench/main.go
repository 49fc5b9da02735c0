package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/stilelock/stile/bench/internal/redisbench"
)

const usage = `usage: bench STORE [flags]

  redis   stile, redsync, redislock and rueidislock on one Redis server

bench STORE -h lists the flags.
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) //nolint:forbidigo // It is main.
}

func run(args []string, stdout, stderr io.Writer) int {
	//nolint:forbidigo // It is the program's first context.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) == 0 || args[0] != "redis" {
		fmt.Fprint(stderr, usage)
		return 2
	}
	config, err := redisbench.Parse(args[1:], func(flags *flag.FlagSet) { flags.SetOutput(stderr) })
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	if _, err := redisbench.Run(ctx, config, stdout); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}
