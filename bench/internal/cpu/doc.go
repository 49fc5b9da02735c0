// Package cpu says how much processor time this program has used. It says
// nothing of its children.
package cpu
