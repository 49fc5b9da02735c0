// Command bench runs stile and other lock libraries side by side and says what
// each did and what it cost:
//
//	go run ./bench redis
//
// One subcommand per kind of store. README.md says what each item means, and
// what the figures cannot say.
package main
