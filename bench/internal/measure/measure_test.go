package measure_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stilelock/stile/bench/internal/measure"
)

func TestPercentileTakesTheNearestRank(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := 100; i >= 1; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	tests := []struct {
		values []time.Duration
		p      float64
		want   time.Duration
	}{
		{nil, 50, 0},
		{[]time.Duration{7}, 0, 7},
		{[]time.Duration{7}, 100, 7},
		{[]time.Duration{3, 1, 2}, 50, 2},
		{[]time.Duration{4, 3, 2, 1}, 50, 2},
		{[]time.Duration{4, 3, 2, 1}, 51, 3},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 99.5, 100},
		{hundred, 0, 1},
	}
	for _, tt := range tests {
		if got := measure.Percentile(slices.Clone(tt.values), tt.p); got != tt.want {
			t.Errorf("Percentile(%v, %v) = %v, want %v", tt.values, tt.p, got, tt.want)
		}
	}
}

func TestSpreadIsMedianLeastAndGreatest(t *testing.T) {
	t.Parallel()
	values := []float64{5, 1, 9}
	if got, want := measure.SpreadOf(values), (measure.Spread{Median: 5, Min: 1, Max: 9}); got != want {
		t.Errorf("SpreadOf(%v) = %v, want %v", values, got, want)
	}
	if !slices.Equal(values, []float64{5, 1, 9}) {
		t.Errorf("SpreadOf changed its argument: %v", values)
	}
	if got, want := measure.SpreadOf([]float64{4, 1, 2, 3}), (measure.Spread{Median: 2.5, Min: 1, Max: 4}); got != want {
		t.Errorf("SpreadOf of an even number = %v, want %v", got, want)
	}
	if got := measure.SpreadOf(nil); got != (measure.Spread{}) {
		t.Errorf("SpreadOf(nil) = %v", got)
	}
}

func TestJain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		counts []int
		want   float64
	}{
		{nil, 0},
		{[]int{0, 0, 0}, 0},
		{[]int{5, 5, 5, 5}, 1},
		{[]int{8, 0, 0, 0}, 0.25},
		{[]int{1, 3}, 0.8}, // 4² / (2 · 10)
	}
	for _, tt := range tests {
		if got := measure.Jain(tt.counts); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("Jain(%v) = %v, want %v", tt.counts, got, tt.want)
		}
	}
}

func TestPerUnitOfNothing(t *testing.T) {
	t.Parallel()
	if got := measure.PerUnit(3, 0); got != 0 {
		t.Errorf("PerUnit(3, 0) = %v, want 0", got)
	}
	if got := measure.PerUnit(3, 2); got != 1.5 {
		t.Errorf("PerUnit(3, 2) = %v, want 1.5", got)
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	if got := measure.Micros(1500 * time.Nanosecond); got != 1.5 {
		t.Errorf("Micros = %v, want 1.5", got)
	}
	if got := measure.Millis(1500 * time.Microsecond); got != 1.5 {
		t.Errorf("Millis = %v, want 1.5", got)
	}
}
