// Package lockqueue compares driver/lockqueue, over its own memory view, with
// the model.
//
// It promises that they give the same answers to the same commands. Whether
// those answers are right is explored in driver/lockqueue itself.
package lockqueue
