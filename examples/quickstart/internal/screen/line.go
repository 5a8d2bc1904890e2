package screen

import (
	"math"
	"strings"

	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
)

// A line is a row of spans, each in one color.
type (
	line []span
	span struct {
		text  string
		color color
	}
)

// color is the parameter of an ANSI SGR sequence.
type color string

const (
	noColor color = ""
	bold    color = "1"
	dim     color = "2"
	red     color = "31"
	green   color = "32"
	yellow  color = "33"
)

func colorOf(l demo.Level) color { return [...]color{noColor, green, yellow, red}[l] }

// glyphs are the characters of bars.
type glyphs struct{ full, empty string }

var (
	ascii  = glyphs{"#", "."}
	blocks = glyphs{"█", "░"}
)

// bar returns a bar of width characters, filled to a fraction between 0 and 1.
func bar(width int, fraction float64, g glyphs) string {
	full := min(max(int(math.Round(fraction*float64(width))), 0), width)
	return strings.Repeat(g.full, full) + strings.Repeat(g.empty, width-full)
}

// cut returns the line, truncated to width.
func (l line) cut(width int) line {
	var out line
	for _, s := range l {
		text := []rune(s.text)
		text = text[:min(width, len(text))]
		width -= len(text)
		out = append(out, span{string(text), s.color})
	}
	return out
}

// String returns the line without colors and without spaces at its end.
func (l line) String() string { return strings.TrimRight(l.raw(), " ") }

func (l line) raw() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.text)
	}
	return b.String()
}

// colored returns the line with ANSI colors.
func (l line) colored() string {
	var b strings.Builder
	for _, s := range l {
		if s.color == noColor {
			b.WriteString(s.text)
		} else {
			b.WriteString("\x1b[" + string(s.color) + "m" + s.text + "\x1b[0m")
		}
	}
	return b.String()
}
