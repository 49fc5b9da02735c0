package measure

import (
	"math"
	"slices"
	"time"
)

// Percentile returns the p-th percentile, 0 to 100, by the nearest rank: the
// smallest value that at least p percent of the values do not exceed. It sorts
// the values in place. Of no values it is 0.
func Percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	rank := int(math.Ceil(p / 100 * float64(len(values))))
	return values[min(max(rank, 1), len(values))-1]
}

// A Spread is what several rounds gave: the median, and the least and the
// greatest value. With an even number of rounds the median is the mean of the
// two in the middle.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// SpreadOf returns the spread of values, which it leaves as they are. Of no
// values all is 0.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	median := sorted[half]
	if len(sorted)%2 == 0 {
		median = (sorted[half-1] + sorted[half]) / 2
	}
	return Spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// Jain returns Jain's fairness index of what each client got:
// (sum x)² / (n · sum x²). It is 1 when all got the same and 1/n when one got
// everything. When nobody got anything it is 0: nothing was shared out.
func Jain(counts []int) float64 {
	sum, squares := 0.0, 0.0
	for _, n := range counts {
		sum += float64(n)
		squares += float64(n) * float64(n)
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / (float64(len(counts)) * squares)
}

// PerUnit returns amount divided by n, and 0 if n is 0.
func PerUnit(amount, n float64) float64 {
	if n == 0 {
		return 0
	}
	return amount / n
}

// Micros returns d in microseconds.
func Micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// Millis returns d in milliseconds.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
