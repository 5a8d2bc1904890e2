package statuspage

import (
	"fmt"
	"math"
	"strings"
)

// chart is a drawing of the history, a step per sample, with the latest one at the right
// edge.
type chart struct {
	Title    string
	Summary  string // the chart in words
	Legend   []mark
	Grid     []gridline
	Shapes   []shape // from back to front
	From, To string  // the times of the edges; "": there is no sample
}

// mark is an entry of a legend.
type mark struct{ Class, Label string }

// gridline is a horizontal line, with the value that it stands for.
type gridline struct{ Y, Label string } // Y is from the top

// shape is a path in a box of maxSamples by chartHeight.
type shape struct{ Class, Path string }

// series is a number of each sample.
type series struct {
	mark
	value func(*sample) uint64
}

const (
	chartHeight = 1000
	leastHeight = 12 // of what is not zero: one room in a hundred thousand can be seen
)

// countChart shows numbers as areas from the ground up, the first one at the back.
func countChart(title string, history []sample, all []series) chart {
	c := chart{Title: title}
	top := uint64(1)
	for _, s := range all {
		top = max(top, ceiling(s.peak(history)))
	}
	for _, s := range all {
		path := trace(history, true, func(at *sample) int {
			n := s.value(at)
			if n == 0 {
				return 0
			}
			return max(int(float64(n)/float64(top)*chartHeight), leastHeight)
		})
		c.Shapes = append(c.Shapes, shape{s.Class, path})
		c.Legend = append(c.Legend, s.mark)
	}
	c.Grid = []gridline{{percent(0, 1), count(top)}}
	if top > 1 {
		c.Grid = append(c.Grid, gridline{percent(1, 2), count(top / 2)})
	}
	return c
}

// ceiling returns the least of 1, 2, 4, 6, 8, 10, 20, 40, ... that is at least n.
func ceiling(n uint64) uint64 {
	for unit := uint64(1); unit < math.MaxUint64/10; unit *= 10 {
		for _, digit := range []uint64{1, 2, 4, 6, 8} {
			if digit*unit >= n {
				return digit * unit
			}
		}
	}
	return n
}

func percent(part, whole int) string { return fmt.Sprintf("%.4g%%", 100*float64(part)/float64(whole)) }

// peak returns the largest number, 0 if there is none.
func (s series) peak(history []sample) (most uint64) {
	for i := range history {
		most = max(most, s.value(&history[i]))
	}
	return most
}

// sum returns the sum of the numbers.
func (s series) sum(history []sample) (sum uint64) {
	for i := range history {
		sum += s.value(&history[i])
	}
	return sum
}

// latest returns the latest sample, an empty one if there is none.
func latest(history []sample) *sample {
	if len(history) == 0 {
		return new(sample)
	}
	return &history[len(history)-1]
}

// trace returns a path of steps with those heights, interrupted where they are 0. filled:
// it encloses the area below.
func trace(history []sample, filled bool, height func(*sample) int) string {
	var b strings.Builder
	left := maxSamples - len(history)
	before := 0 // the height of the step before
	land := func() {
		if filled && before > 0 {
			fmt.Fprintf(&b, "V%dZ", chartHeight)
		}
	}
	for i := 0; i < len(history); {
		from, h := i, height(&history[i])
		for i < len(history) && height(&history[i]) == h {
			i++
		}
		switch {
		case h == 0:
			land()
		case before > 0:
			fmt.Fprintf(&b, "V%dH%d", chartHeight-h, left+i)
		case filled:
			fmt.Fprintf(&b, "M%d %dV%dH%d", left+from, chartHeight, chartHeight-h, left+i)
		default:
			fmt.Fprintf(&b, "M%d %dH%d", left+from, chartHeight-h, left+i)
		}
		before = h
	}
	land()
	return b.String()
}
