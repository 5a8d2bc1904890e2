package main

import (
	"math"
	"slices"
	"strconv"

	"github.com/roomtoken/roomtoken/bench/internal/stat"
)

// linesBySize draws a line per contender over the number of keys, with logarithmic axes,
// and a legend below. Contenders that cache a single token have a mark only, left of those
// of the lines.
func linesBySize(f *comparison, c chart) []byte {
	const (
		left   = 56 // of the plot
		right  = chartWidth - margin
		top    = headHeight + 8
		bottom = top + 250
		inset  = 66 // from the left of the plot to the first size, and
		dodge  = 14 // between marks there
	)
	rows := f.charted(c.table)
	value := func(column string, r contender) (m float64, ok bool) {
		m, ok = f.median(c.table, column, r.name)
		return m, ok && m > 0 // the axis has no place for others
	}
	d := newDrawing(c)
	var sizes, values []float64
	var columns []string
	for _, column := range f.columns(c.table) {
		n, ok := sizeOf(column)
		if !ok {
			continue
		}
		columns, sizes = append(columns, column), append(sizes, n)
		for _, r := range rows {
			if m, ok := value(column, r); ok {
				values = append(values, m)
			}
		}
	}
	if len(values) == 0 {
		return d.svg(headHeight)
	}
	steps := niceSteps(slices.Min(values), slices.Max(values))
	x := logScale(sizes[0], sizes[len(sizes)-1], left+inset, right-34)
	y := logScale(steps[0], steps[len(steps)-1], bottom, top)

	for _, v := range steps {
		d.line(left, y(v), right, y(v), "grid")
		d.text(left-8, y(v)+5, "dim", end, label(v))
	}
	for _, n := range sizes {
		d.line(x(n), top, x(n), bottom, "grid")
		d.text(x(n), bottom+20, "dim", middle, label(n))
	}
	d.text((left+right)/2, bottom+40, "dim", middle, "keys")

	alone := 0                                // contenders so far with a single size
	for _, r := range slices.Backward(rows) { // roomtoken on top
		var points []point
		for i, column := range columns {
			if m, ok := value(column, r); ok {
				points = append(points, point{x(sizes[i]), y(m)})
			}
		}
		class, shape := look(r)
		switch {
		case len(points) > 1:
			d.polyline(points, lineClass(r, class))
		case r.single && len(points) == 1:
			alone++
			points[0].x -= float64(alone * dodge)
		}
		for _, p := range points {
			d.mark(p, shape, class)
		}
	}
	return d.svg(legend(d, rows, bottom+64))
}

// lineClass returns the class of a contender's line.
func lineClass(c contender, class string) string {
	switch c.kind {
	case us:
		return class + " line bold"
	case floor:
		return class + " line dashed"
	default:
		return class + " line"
	}
}

// legend draws a legend from y on, and returns the height of a chart that ends with it.
func legend(d *drawing, rows []contender, y float64) float64 {
	const columns, row, thumb = 2, 22, 26
	for i, r := range rows {
		class, shape := look(r)
		x := margin + float64(i%columns)*(chartWidth-margin)/columns
		at := y + float64(i/columns)*row
		name := r.name
		if r.single {
			name += " (1 key only)"
		} else {
			d.line(x, at-5, x+thumb, at-5, lineClass(r, class))
		}
		d.mark(point{x + thumb/2, at - 5}, shape, class)
		d.text(x+thumb+8, at, "ink", start, name)
	}
	return y + float64((len(rows)+columns-1)/columns-1)*row + margin
}

// logScale returns the function that maps from..to to the places a..b, logarithmically.
func logScale(from, to, a, b float64) func(float64) float64 {
	if to <= from {
		return func(float64) float64 { return (a + b) / 2 }
	}
	return func(v float64) float64 { return a + (b-a)*math.Log(v/from)/math.Log(to/from) }
}

// niceSteps returns the numbers 1, 2 and 5 times a power of ten from the last that is at
// most least, to the first that is at least most.
func niceSteps(least, most float64) (steps []float64) {
	for power := math.Floor(math.Log10(least)); ; power++ {
		for _, m := range []float64{1, 2, 5} {
			v := m * math.Pow(10, power)
			if v <= least {
				steps = steps[:0]
			}
			steps = append(steps, v)
			if v >= most {
				return steps
			}
		}
	}
}

// label returns a number as the axes have it, with k for thousands and M for millions.
func label(v float64) string {
	unit := ""
	switch {
	case v >= 1e6:
		v, unit = v/1e6, "M"
	case v >= 1e4:
		v, unit = v/1e3, "k"
	case v >= 1e3:
		return stat.Grouped(int64(v + 0.5))
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + unit
}
