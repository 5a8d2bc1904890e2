package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// chart is a chart of one table.
type chart struct {
	table string
	file  string
	title string
	axis  string // what the values are
	draw  func(*comparison, chart) []byte
}

var allCharts = []chart{
	{table: "all", file: "throughput.svg", title: "Hits by all cores", axis: "million hits per second (more is better)", draw: linesBySize},
	{
		table: "dependent", file: "latency.svg", title: "Latency: each key depends on the last result",
		axis: "ns (less is better)", draw: linesBySize,
	},
	{
		table: "down", file: "down.svg", title: "Source down for a minute, 100 callers",
		axis: "source calls (less is better)", draw: bars,
	},
	{table: "heap", file: "heap.svg", title: "Heap per key, without the strings", axis: "bytes (less is better)", draw: bars},
}

// drawCharts draws a chart of each table that has rows, and returns the file names
// by table.
func drawCharts(f *comparison, dir string) (map[string]string, error) {
	files := map[string]string{}
	for _, c := range allCharts {
		if len(f.rows(c.table)) == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, c.file), c.draw(f, c), 0o644); err != nil { //nolint:gosec // for publication
			return nil, err
		}
		files[c.table] = c.file
	}
	return files, nil
}

// shown reports whether a contender is in the charts. Of the floors, only those that
// read the monotonic clock are: more would be hard to tell apart.
func shown(c contender) bool {
	return c.kind != floor || strings.HasSuffix(c.name, monotonicClock.String())
}

// charted returns the contenders of a table that are in its chart.
func (f *comparison) charted(table string) []contender {
	return slices.DeleteFunc(f.rows(table), func(c contender) bool { return !shown(c) })
}

// look returns the class and the shape with which a contender is drawn, the same in all
// charts.
func look(c contender) (class string, shape int) {
	n := 0 // among those of its kind
	for _, other := range contenders {
		if other.kind == c.kind && shown(other) {
			n++
		}
		if other.name == c.name {
			break
		}
	}
	switch c.kind {
	case us:
		return "us", 0
	case floor:
		return fmt.Sprint("floor", n), 0
	default:
		return fmt.Sprint("peer", n), n
	}
}

// margin is what surrounds a chart, and headHeight what its title takes.
const (
	margin     = 12
	headHeight = 52
)

// newDrawing returns a drawing with the chart's title and, below it, what its values are.
func newDrawing(c chart) *drawing {
	d := &drawing{title: c.title}
	d.text(margin, 20, "title ink", start, c.title)
	d.text(margin, 40, "dim", start, c.axis)
	return d
}

// bars draws a horizontal bar per contender, for the first column of the table.
func bars(f *comparison, c chart) []byte {
	const (
		left      = 208 // of the bars
		right     = chartWidth - margin - 56
		row       = 26
		thickness = 16
	)
	column := f.columns(c.table)[0]
	rows := f.charted(c.table)
	most := 0.0
	for _, r := range rows {
		m, _ := f.median(c.table, column, r.name)
		most = max(most, m)
	}
	d := newDrawing(c)
	for i, r := range rows {
		m, _ := f.median(c.table, column, r.name)
		width := 0.0
		if most > 0 {
			width = max(m/most*(right-left), 0)
		}
		class, _ := look(r)
		y := headHeight + float64(i)*row
		d.text(left-8, y+13, "ink", end, r.name)
		d.rect(left, y, width, thickness, class)
		d.text(left+width+6, y+13, "ink", start, number(m))
	}
	return d.svg(headHeight + float64(len(rows))*row + margin/2)
}

// sizeOf parses a column's number of keys: "1,000 keys" is 1000.
func sizeOf(column string) (float64, bool) {
	digits, noun, _ := strings.Cut(column, " ")
	n, err := strconv.ParseFloat(strings.ReplaceAll(digits, ",", ""), 64)
	return n, err == nil && strings.HasPrefix(noun, "key")
}
