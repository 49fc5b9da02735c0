// Package tty is what a command that runs another one has to do with the
// controlling terminal: hand it over, take it back, and be stopped and continued
// as a shell's job is.
//
// It promises that no call is stopped by the kernel for touching the terminal
// from the background, and that a process that is stopped by Stop looks to its
// shell as if the signal itself had stopped it.
//
// It does not decide who should have the terminal.
package tty
