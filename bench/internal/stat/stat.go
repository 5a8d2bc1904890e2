// Package stat has the statistics that the programs of this module need, and how they write
// numbers.
package stat

import (
	"math"
	"slices"
	"strconv"
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

// Grouped formats a number with commas between the thousands.
func Grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
