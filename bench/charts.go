package main

import (
	"bytes"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart is a chart of one table.
type chart struct {
	table string
	file  string
	title string
	axis  string // label of the values
	left  bool   // legend on the left
	draw  func(*comparison, chart) (p *plot.Plot, height vg.Length, err error)
}

var allCharts = []chart{
	{table: "all", file: "throughput.svg", title: "Hits by all cores", axis: "million hits per second (more is better)", draw: linesBySize},
	{
		table: "dependent", file: "latency.svg", title: "Latency of a hit whose key depends on the previous result",
		axis: "ns (less is better)", left: true, draw: linesBySize,
	},
	{
		table: "down", file: "down.svg", title: "Source down for a minute, 100 callers",
		axis: "source calls (less is better)", draw: bars,
	},
	{table: "heap", file: "heap.svg", title: "Heap per key, without the strings", axis: "bytes (less is better)", draw: bars},
}

const chartWidth = 18 * vg.Centimeter

// drawCharts draws a chart of each table that has rows, and returns the file names
// by table.
func drawCharts(f *comparison, dir string) (map[string]string, error) {
	files := map[string]string{}
	for _, c := range allCharts {
		if len(f.rows(c.table)) == 0 {
			continue
		}
		p, height, err := c.draw(f, c)
		if err != nil {
			return nil, err
		}
		p.Title.Text = c.title
		p.Title.Padding = 3 * vg.Millimeter
		svg, err := render(p, height)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, c.file), svg, 0o644); err != nil { //nolint:gosec // for publication
			return nil, err
		}
		files[c.table] = c.file
	}
	return files, nil
}

// typeface is the one that the plotting library includes.
const typeface, variant = "Liberation", "Sans"

// newPlot returns an empty plot without serifs.
func newPlot() *plot.Plot {
	p := plot.New()
	for _, f := range []*font.Font{
		&p.Title.TextStyle.Font, &p.Legend.TextStyle.Font,
		&p.X.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Label.TextStyle.Font, &p.Y.Tick.Label.Font,
	} {
		f.Typeface, f.Variant = typeface, variant
	}
	return p
}

// render draws a plot on white, with a margin.
func render(p *plot.Plot, height vg.Length) ([]byte, error) {
	const margin = 4 * vg.Millimeter
	canvas := vgsvg.New(chartWidth, height)
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Path())
	p.Draw(draw.Crop(whole, margin, -2*margin, margin, -margin))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	// Readers may not have that typeface.
	name := []byte("font-family:" + typeface + " " + variant)
	return bytes.ReplaceAll(b.Bytes(), name, append(name, ",Arial,Helvetica,sans-serif"...)), nil
}

// shown reports whether a contender is in the charts. Of the floors, only those that
// read the monotonic clock are: more would be hard to tell apart.
func shown(c contender) bool {
	return c.kind != floor || strings.HasSuffix(c.name, monotonicClock.String())
}

// ticks are the default ticks, with labels without trailing zeros.
type ticks struct{}

func (ticks) Ticks(from, to float64) []plot.Tick {
	all := plot.DefaultTicks{}.Ticks(from, to)
	for i := range all {
		if all[i].Label != "" {
			all[i].Label = strconv.FormatFloat(all[i].Value, 'f', -1, 64)
		}
	}
	return all
}

// linesBySize draws a line per contender over the number of keys, with logarithmic
// axes.
func linesBySize(f *comparison, c chart) (*plot.Plot, vg.Length, error) {
	p := newPlot()
	p.X.Label.Text = "keys"
	p.Y.Label.Text = c.axis
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.Y.Tick.Marker = plot.LogTicks{Prec: -1}
	p.Add(grid())
	p.Legend.Top = true
	p.Legend.Left = c.left
	p.Legend.Padding = vg.Millimeter
	p.Legend.ThumbnailWidth = 8 * vg.Millimeter

	var sizes []plot.Tick
	for _, column := range f.columns(c.table) {
		if n, ok := sizeOf(column); ok {
			sizes = append(sizes, plot.Tick{Value: n, Label: strings.Fields(column)[0]})
		}
	}
	p.X.Tick.Marker = plot.ConstantTicks(sizes)

	for i, row := range f.rows(c.table) {
		if !shown(row) {
			continue
		}
		var points plotter.XYs
		for _, column := range f.columns(c.table) {
			n, isSize := sizeOf(column)
			m, measured := f.median(c.table, column, row.name)
			if isSize && measured {
				points = append(points, plotter.XY{X: n, Y: m})
			}
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, 0, err
		}
		line.Color, dots.Color = colorOf(row, i), colorOf(row, i)
		line.Width = vg.Points(1.5)
		dots.Shape, dots.Radius = draw.CircleGlyph{}, vg.Points(2.5)
		switch row.kind {
		case us:
			line.Width = vg.Points(3)
		case peer:
		case floor:
			line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		}
		p.Add(line, dots)
		p.Legend.Add(row.name, line, dots)
	}
	return p, 11 * vg.Centimeter, nil
}

// bars draws a horizontal bar per contender, for the first column of the table.
func bars(f *comparison, c chart) (*plot.Plot, vg.Length, error) {
	p := newPlot()
	p.X.Label.Text = c.axis
	p.X.Min = 0
	p.X.Tick.Marker = ticks{}
	column := f.columns(c.table)[0]

	var names []string
	var ends plotter.XYLabels
	rows := slices.DeleteFunc(f.rows(c.table), func(c contender) bool { return !shown(c) })
	for i := range rows {
		row := rows[len(rows)-1-i] // the first at the top
		m, _ := f.median(c.table, column, row.name)
		bar, err := plotter.NewBarChart(plotter.Values{m}, vg.Points(13))
		if err != nil {
			return nil, 0, err
		}
		bar.Horizontal = true
		bar.XMin = float64(i)
		bar.Color = colorOf(row, len(rows)-1-i)
		bar.LineStyle.Width = 0
		p.Add(bar)
		names = append(names, row.name)
		ends.XYs = append(ends.XYs, plotter.XY{X: m, Y: float64(i)})
		ends.Labels = append(ends.Labels, " "+number(m))
	}
	labels, err := plotter.NewLabels(ends)
	if err != nil {
		return nil, 0, err
	}
	for i := range labels.TextStyle {
		labels.TextStyle[i].YAlign = draw.YCenter
		labels.TextStyle[i].Font.Typeface, labels.TextStyle[i].Font.Variant = typeface, variant
	}
	p.Add(labels)
	p.NominalY(names...)
	p.X.Max *= 1.12 // room for the numbers
	return p, vg.Length(3+0.75*float64(len(rows))) * vg.Centimeter, nil
}

func grid() *plotter.Grid {
	g := plotter.NewGrid()
	g.Horizontal.Color = color.Gray{Y: 225}
	g.Vertical.Color = color.Gray{Y: 225}
	return g
}

// colorOf returns a contender's color: red for roomtoken, grays for the floors. i is
// its row in the table.
func colorOf(c contender, i int) color.Color {
	peers := []color.Color{
		color.RGBA{R: 31, G: 119, B: 180, A: 255},
		color.RGBA{R: 255, G: 145, B: 30, A: 255},
		color.RGBA{R: 44, G: 140, B: 60, A: 255},
		color.RGBA{R: 148, G: 103, B: 189, A: 255},
		color.RGBA{R: 140, G: 86, B: 75, A: 255},
	}
	switch c.kind {
	case us:
		return color.RGBA{R: 214, G: 39, B: 40, A: 255}
	case floor:
		if c.module == "" {
			return color.Gray{Y: 90}
		}
		return color.Gray{Y: 165}
	default:
		return peers[(i+len(peers)-1)%len(peers)]
	}
}

// sizeOf parses a column's number of keys: "1,000 keys" is 1000.
func sizeOf(column string) (float64, bool) {
	digits, noun, _ := strings.Cut(column, " ")
	n, err := strconv.ParseFloat(strings.ReplaceAll(digits, ",", ""), 64)
	return n, err == nil && strings.HasPrefix(noun, "key")
}
