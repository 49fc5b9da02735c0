// Command stile runs commands under distributed locks, and shows and breaks
// them. See `stile --help`.
package main

import (
	"os"

	"github.com/stilelock/stile/cmd/stile/internal/cli"
	"github.com/stilelock/stile/cmd/stile/internal/guard"
	"github.com/stilelock/stile/cmd/stile/internal/hold"
)

func main() {
	if guard.IsGuard(os.Args) {
		os.Exit(guard.Main(hold.Adopt))
	}
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr, os.Getenv))
}
