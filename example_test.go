package stile_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/stilelock/stile"
	_ "github.com/stilelock/stile/memlock" // registers mem:
)

// Do is all that most programs need.
func ExampleLocker_Do() {
	ctx := context.Background()
	locks, err := stile.Open(ctx, "mem:example")
	if err != nil {
		log.Fatal(err)
	}
	defer locks.Close()

	err = locks.Do(ctx, "orders/42", nil, func(ctx context.Context, lease *stile.Lease) error {
		fmt.Println("holding", lease.Key())
		return nil // ctx ends if the lease is lost
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: holding orders/42
}

// TryAcquire does not wait: it says who holds the key.
func ExampleLocker_TryAcquire() {
	ctx := context.Background()
	locks, err := stile.Open(ctx, "mem:example")
	if err != nil {
		log.Fatal(err)
	}
	defer locks.Close()

	lease, err := locks.Acquire(ctx, "report", &stile.Options{Owner: "alice"})
	if err != nil {
		log.Fatal(err)
	}
	defer lease.Release(ctx)

	_, err = locks.TryAcquire(ctx, "report", &stile.Options{Owner: "bob"})
	var busy *stile.BusyError
	if errors.As(err, &busy) {
		fmt.Println("held by", busy.Holders[0].Owner)
	}
	// Output: held by alice
}

// A limit makes the key a semaphore.
func ExampleOptions_limit() {
	ctx := context.Background()
	locks, err := stile.Open(ctx, "mem:example")
	if err != nil {
		log.Fatal(err)
	}
	defer locks.Close()

	opts := &stile.Options{Limit: 2}
	for range 3 {
		_, err := locks.TryAcquire(ctx, "workers", opts)
		fmt.Println(err == nil)
	}
	// Output:
	// true
	// true
	// false
}
