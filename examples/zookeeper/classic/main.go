// Command classic acquires a key with an expiry, leaves at once if the key is
// taken, does its work, and releases the key only if it is still the owner.
//
//	go run ./examples/zookeeper/classic -store zookeeper://localhost:2181
//
// It exits with 0 when the work is done, 75 if somebody else holds the key, 71
// if it lost the key while it worked, and 69 if ZooKeeper cannot be reached.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/stilelock/stile"
	_ "github.com/stilelock/stile/zklock" // registers zookeeper:
)

func main() {
	store := flag.String("store", "zookeeper://localhost:2181", "URL of the ZooKeeper")
	busyFor := flag.Duration("work", time.Second, "how long the work takes")
	flag.Parse()
	os.Exit(run(context.Background(), *store, *busyFor))
}

func run(ctx context.Context, store string, busyFor time.Duration) int {
	locks, err := stile.Open(ctx, store)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 69
	}
	defer locks.Close()

	// Acquire with an expiry. If this process dies, its session ends after about 10 s, and the next in line has
	// the key. While it lives, the lease is renewed, so the work may take longer than that.
	lease, err := locks.TryAcquire(ctx, "reports/daily", &stile.Options{TTL: 10 * time.Second})

	// Leave at once if it is taken. The error says who holds it, since when, and until when.
	if busy := new(stile.BusyError); errors.As(err, &busy) {
		fmt.Fprintln(os.Stderr, busy)
		return 75
	} else if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 69
	}

	// Do something. The context ends if the lease is lost, before anybody else can get the key.
	fmt.Println("working with token", lease.Token())
	if err := work(lease.Context(), busyFor); err != nil {
		fmt.Fprintln(os.Stderr, "work:", err)
	}

	// Release only if still the owner. What is somebody else's by now stays, and the error is ErrLost.
	switch err := lease.Release(ctx); {
	case errors.Is(err, stile.ErrLost):
		fmt.Fprintln(os.Stderr, err)
		return 71
	case err != nil: // ZooKeeper could not be told. The key becomes free with the session.
		fmt.Fprintln(os.Stderr, err)
	}
	return 0
}

// work stands for what the lock protects.
func work(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
