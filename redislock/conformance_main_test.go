package redislock_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stilelock/stile/driver/locktest"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// atOnce is how many tests run at once unless -test.parallel says otherwise:
// most of what they do is to wait.
const atOnce = "24"

// roleVariable tells a process that it is another process of one of the tests.
const roleVariable = "STILE_REDISLOCK_ROLE"

// roles are what such a process can do.
var roles = map[string]func() error{"crowd": serveCrowd}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		exitWith(roles[role]())
	}
	locktest.Child(nil)
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			exitWith(err)
		}
	}
	status := m.Run()
	if err := redistest.StopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	os.Exit(status)
}

func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
