// Package stat has the statistics that the programs of this module need.
package stat

import (
	"math"
	"slices"
)

// Median returns the middle value, or the mean of the two in the middle. A few
// outliers do not affect it. It is NaN if there are no values.
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

// Ratios returns a[i] / b[i] for every round i that both have. They vary less than
// ratios of medians: whatever slows the machine down in a round affects both.
func Ratios(a, b []float64) []float64 {
	ratios := make([]float64, min(len(a), len(b)))
	for i := range ratios {
		ratios[i] = a[i] / b[i]
	}
	return ratios
}
