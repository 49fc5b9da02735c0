package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stilelock/stile/driver"
)

func newVersion(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and the stores that are built in",
		Args:  arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			version := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
				version = info.Main.Version
			}
			fmt.Fprintf(e.stdout, "stile %s (%s, %s/%s)\nstores: %s\n",
				version, runtime.Version(), runtime.GOOS, runtime.GOARCH, strings.Join(driver.Schemes(), ", "))
			return nil
		},
	}
}
