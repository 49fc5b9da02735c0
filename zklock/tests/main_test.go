package tests

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stilelock/stile/zklock/internal/zktest"
)

// atOnce is how many tests run at once unless -test.parallel says otherwise:
// most of what they do is to wait.
const atOnce = "8"

func TestMain(m *testing.M) {
	if order := os.Getenv(childVariable); order != "" {
		if err := serveChild(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	status := m.Run()
	if err := zktest.StopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	os.Exit(status)
}
