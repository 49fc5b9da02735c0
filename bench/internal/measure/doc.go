// Package measure is the arithmetic of the benchmarks: percentiles, medians
// with their spread, and Jain's fairness index. It measures nothing itself,
// and it does no I/O.
package measure
