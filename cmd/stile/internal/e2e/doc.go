// Package e2e has the tests that run the built command as its users do: many
// processes, real signals, real files. It has no code of its own.
package e2e
