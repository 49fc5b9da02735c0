// Command do does what classic does, in three lines: it acquires a key, works,
// and releases the key. It waits in line for up to two seconds.
//
//	go run ./examples/zookeeper/do -store zookeeper://localhost:2181
//
// Ctrl-C ends the work, and the key is released all the same.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/stilelock/stile"
	_ "github.com/stilelock/stile/zklock" // registers zookeeper:
)

func main() {
	store := flag.String("store", "zookeeper://localhost:2181", "URL of the ZooKeeper")
	busyFor := flag.Duration("work", time.Second, "how long the work takes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *store, *busyFor)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, store string, busyFor time.Duration) error {
	locks, err := stile.Open(ctx, store)
	if err != nil {
		return err
	}
	defer locks.Close()

	return locks.Do(ctx, "reports/daily", &stile.Options{Wait: 2 * time.Second}, func(ctx context.Context, lease *stile.Lease) error {
		return work(ctx, lease.Token(), busyFor)
	})
}

// work stands for what the lock protects. Its context ends with Ctrl-C, or if the lease is lost.
func work(ctx context.Context, token uint64, d time.Duration) error {
	fmt.Println("working with token", token)
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
