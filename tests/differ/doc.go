// Package differ plays random commands to a machine and to the model at the
// same times, and compares every answer and all that they keep.
//
// It promises that the two agreed on every command that was played, and that
// the commands were worth playing: [Counts] says what happened. Runs are drawn
// with rapid, so a disagreement comes back as the shortest run that shows it.
//
// It does not judge who is right.
package differ
