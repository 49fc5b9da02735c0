// Package chaosproxy is a network between one client and the servers of a
// store, for tests: every connection goes through a TCP proxy on 127.0.0.1, and
// all of them fail together.
//
// It does what locktest.Proxy does, for a store of several servers, and more:
// it delays, it holds back one command or the reply to one command that it knows by a
// part of its text, and it tells when a command was let through.
//
// It knows no protocol. A command is what a client has written at once: with a
// client that pipelines, a rule may hit the commands that were written together
// with the one that it names, and losing a reply ends the connection.
package chaosproxy
