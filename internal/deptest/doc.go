// Package deptest holds a test only: that the root module imports the standard library alone, its tests
// included.
//
// It promises that a user who imports stile gets no other module, and no newer Go, than that of stile itself.
// It asks the go command for every package that the root module's packages and tests depend on, and reads the
// imports of every file besides, whatever its build constraints, so that a file for another system counts.
// It names the package and who imports it.
//
// It says nothing of the other modules of this repository: each has requirements of its own. That none of them
// imports this module's internal packages is checked by tools/modcheck.
package deptest
