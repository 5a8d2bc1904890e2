// Package stat has the little statistics that the programs of this module need.
package stat

import (
	"math"
	"slices"
)

// Median returns the middle value, or the mean of the two in the middle. It is
// what a few disturbed rounds do not move. Without values it is NaN.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Ratios returns a[i] / b[i] for every round i that both have. A ratio within a
// round is worth more than a ratio of medians: what slows the machine for a
// while slows both.
func Ratios(a, b []float64) []float64 {
	ratios := make([]float64, min(len(a), len(b)))
	for i := range ratios {
		ratios[i] = a[i] / b[i]
	}
	return ratios
}
