// Package repo tells the repository's own tools where they are and which Go modules it has.
//
// It promises one reading of modules.txt, the list that every loop over modules goes by, and one
// reading of go.mod and go.work files, through the go command. A line that it does not understand is
// an error, never a module left out.
//
// It does not look for modules on disk and checks nothing about them: that is package main in modcheck.
package repo
