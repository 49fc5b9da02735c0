// Package tests holds what is tested of redislock with tools that its users
// need not download: the Lua is compared with the model of package model over
// random commands on a real server.
//
// It promises nothing to anybody: it is not released.
package tests
