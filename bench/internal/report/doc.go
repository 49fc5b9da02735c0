// Package report keeps what rounds of a benchmark gave, and writes it as tables
// for people and as JSON for programs. Of several rounds it shows the median
// and the least and greatest value; a round that failed is
// named.
package report
