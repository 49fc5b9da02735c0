package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// An env is what the command finds around it.
type env struct {
	stdout, stderr io.Writer
	getenv         func(string) string
}

// Main runs the command line args, without the program's name, and returns
// the exit status.
func Main(args []string, stdout, stderr io.Writer, getenv func(string) string) int {
	root := newRoot(&env{stdout: stdout, stderr: stderr, getenv: getenv})
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())
	var exit *exitError
	if silent := errors.As(err, &exit) && exit.err == nil; err != nil && !silent {
		fmt.Fprintf(stderr, "stile: %s\n", oneLine(err.Error()))
	}
	return statusOf(err)
}

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "stile",
		Short: "Distributed locks for commands",
		Long: "Distributed locks for commands.\n\n" +
			"stile run KEY -- COMMAND runs a command while holding a key, so that nobody else who asks for the key\n" +
			"runs at the same time. The locks are in the store that --store or $STILE_STORE names; without either,\n" +
			"in a file of yours that needs no server.",
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:  true, // One line says what is wrong; 40 lines of usage would hide it.
		SilenceErrors: true,
		// Without it, suggestions are made by prefix alone.
		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(newRun(e), newList(e), newShow(e), newWatch(e), newBreak(e), newVersion(e))
	return root
}

// noArguments refuses arguments, and what stands in the place of a command and
// is none.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		hint = fmt.Sprintf("; did you mean %q?", similar[0])
	}
	return usagef("unknown command %q%s; see %s --help", args[0], hint, cmd.CommandPath())
}

// arguments checks how many arguments a command got.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usagef("wrong number of arguments; usage: %s", cmd.UseLine())
		}
		return nil
	}
}

// interruptible ends the context of a command that only reads when somebody
// interrupts it.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}

// oneLine makes sure of what is promised of error messages.
func oneLine(text string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)), " ")
}
