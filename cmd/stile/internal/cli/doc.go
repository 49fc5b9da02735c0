// Package cli is the command stile: its flags, its output and its exit status.
//
// # What it promises
//
//   - Results go to standard output, everything else to standard error.
//   - An error is one line that says what to do next, never a stack trace, never
//     a secret of the store's URL.
//   - Each way to fail has an exit status of its own; see exit.go.
//   - JSON output keeps its names: {"key","limit","holders","waiters"}, tokens as
//     decimal strings.
//
// # What it does not
//
// It has no lock semantics and no timing of leases: those are the library's.
// How a command is run and ended is package guard's.
package cli
