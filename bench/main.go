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
	"github.com/stilelock/stile/bench/internal/zkbench"
)

const usage = `usage: bench STORE [flags]

  redis       stile, redsync, redislock and rueidislock on one Redis server
  zookeeper   stile, zk.Lock of go-zookeeper/zk and Curator's InterProcessMutex on one ZooKeeper server

bench STORE -h lists the flags.
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) //nolint:forbidigo // It is main.
}

func run(args []string, stdout, stderr io.Writer) int {
	//nolint:forbidigo // It is the program's first context.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	var bench func() error
	var err error
	output := func(flags *flag.FlagSet) { flags.SetOutput(stderr) }
	switch args[0] {
	case "redis":
		var config redisbench.Config
		config, err = redisbench.Parse(args[1:], output)
		bench = func() error {
			_, err := redisbench.Run(ctx, config, stdout)
			return err
		}
	case "zookeeper":
		var config zkbench.Config
		config, err = zkbench.Parse(args[1:], output)
		bench = func() error {
			_, err := zkbench.Run(ctx, config, stdout)
			return err
		}
	default:
		fmt.Fprint(stderr, usage)
		return 2
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	if err := bench(); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}
