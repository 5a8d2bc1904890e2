package main

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// chartWidth is the width of all charts, and textSize and titleSize those of its text, in
// pixels. On a phone of 360 pixels a page has 328 for a chart: the text is then scaled down
// to 10.
const (
	chartWidth = 480
	textSize   = 15
	titleSize  = 16
)

// drawing is a chart in SVG. Coordinates are in pixels from the top left.
type drawing struct {
	title string
	b     strings.Builder
}

// anchor says which end of a text its position is.
type anchor string

const (
	start  anchor = "start"
	middle anchor = "middle"
	end    anchor = "end"
)

func (d *drawing) text(x, y float64, class string, a anchor, text string) {
	fmt.Fprintf(&d.b, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, a, escape(text))
}

func (d *drawing) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&d.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

func (d *drawing) rect(x, y, width, height float64, class string) {
	fmt.Fprintf(&d.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="%s"/>`+"\n", x, y, width, height, class)
}

// point is a place in a drawing.
type point struct{ x, y float64 }

func (d *drawing) polyline(points []point, class string) {
	var places []string
	for _, p := range points {
		places = append(places, fmt.Sprintf("%.1f,%.1f", p.x, p.y))
	}
	fmt.Fprintf(&d.b, `<polyline points="%s" class="%s"/>`+"\n", strings.Join(places, " "), class)
}

// shapes are the marks of series, so that they differ in more than their colors. Each is a
// path around its place.
var shapes = []string{
	"m-4,0a4,4 0 1 0 8,0a4,4 0 1 0 -8,0z",                // circle
	"m-4,-4h8v8h-8z",                                     // square
	"m0,-5l5,9h-10z",                                     // triangle
	"m0,-5.5l5.5,5.5l-5.5,5.5l-5.5,-5.5z",                // diamond
	"m0,5l5,-9h-10z",                                     // triangle, upside down
	"m-1.5,-5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z", // cross
}

// mark draws the mark of a series.
func (d *drawing) mark(p point, shape int, class string) {
	fmt.Fprintf(&d.b, `<path d="M%.1f,%.1f%s" class="%s"/>`+"\n", p.x, p.y, shapes[shape%len(shapes)], class)
}

// svg returns the drawing as a document. It has a background of its own: an image follows the
// color scheme of the browser, and the page around it may have another.
func (d *drawing) svg(height float64) []byte {
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" role="img">
<title>%s</title>
<style>
text{font:%dpx system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif}
.title{font-size:%dpx;font-weight:600}
%s@media (prefers-color-scheme:dark){
%s}
.line{fill:none;stroke-width:2}
.bold{stroke-width:3.5}
.dashed{stroke-dasharray:5 4}
.floor2.dashed{stroke-dasharray:2 4}
</style>
<rect width="%d" height="%.0f" rx="6" class="paper"/>
%s</svg>
`, chartWidth, height, chartWidth, height, escape(d.title), textSize, titleSize, palette(light), palette(dark),
		chartWidth, height, d.b.String())
}

// scheme is one of the two that readers choose between.
type scheme int

const (
	light scheme = iota
	dark
)

// colors are those of each class in both schemes. The paper is GitHub's page.
var colors = []struct {
	class string
	on    [2]string
}{
	{"paper", [2]string{"#ffffff", "#0d1117"}},
	{"ink", [2]string{"#1f2328", "#e6edf3"}},
	{"dim", [2]string{"#59636e", "#9198a1"}},
	{"grid", [2]string{"#d1d9e0", "#3d444d"}},
	{"us", [2]string{"#cf222e", "#ff7b72"}},
	{"peer1", [2]string{"#0969da", "#58a6ff"}},
	{"peer2", [2]string{"#bc4c00", "#ffa657"}},
	{"peer3", [2]string{"#1a7f37", "#3fb950"}},
	{"peer4", [2]string{"#8250df", "#bc8cff"}},
	{"peer5", [2]string{"#9a6700", "#d29922"}},
	{"floor1", [2]string{"#59636e", "#9198a1"}},
	{"floor2", [2]string{"#818b98", "#656c76"}},
}

// palette returns the style rules for the colors of a scheme.
func palette(s scheme) string {
	var b strings.Builder
	for _, c := range colors {
		switch c.class {
		case "paper", "ink", "dim":
			fmt.Fprintf(&b, ".%s{fill:%s}\n", c.class, c.on[s])
		case "grid":
			fmt.Fprintf(&b, ".%s{stroke:%s}\n", c.class, c.on[s])
		default:
			fmt.Fprintf(&b, ".%s{fill:%s;stroke:%s}\n", c.class, c.on[s], c.on[s])
		}
	}
	return b.String()
}

// escape returns text for an XML document.
func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}
