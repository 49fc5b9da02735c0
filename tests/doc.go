// Package tests holds the tests that need more than one module, a library that
// users should not get, or much time. It is never released.
//
//   - model: what a lock means, as plainly as it can be written down.
//   - differ: plays random commands to a machine and to the model, and compares.
//   - lockqueue: driver/lockqueue against the model.
//
// It promises nothing to users: nothing here is an interface to build on.
package tests
