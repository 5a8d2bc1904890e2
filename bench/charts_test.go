package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// published is the directory of the published report.
const published = "../docs/benchmarks"

// publishedResults returns the results of the published report.
func publishedResults(t *testing.T) *comparison {
	t.Helper()
	file, err := os.Open(filepath.Join(published, valuesFile))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f, err := readValues(file)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The published charts are those of the published values.
func TestPublishedCharts(t *testing.T) {
	f := publishedResults(t)
	for _, c := range allCharts {
		got, err := os.ReadFile(filepath.Join(published, c.file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, c.draw(f, c)) {
			t.Errorf("%s is not the chart of %s; run go run . -redraw", c.file, valuesFile)
		}
	}
}

// element is an element of a chart, with the area that it takes.
type element struct {
	kind, text               string
	left, top, right, bottom float64
}

func (e element) overlaps(other element) bool {
	return e.left < other.right && other.left < e.right && e.top < other.bottom && other.top < e.bottom
}

// elements returns the texts, bars and marks of a chart, and its size.
func elements(t *testing.T, svg []byte) (all []element, width, height float64) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all, width, height
		}
		if err != nil {
			t.Fatal(err)
		}
		tag, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		attr := func(name string) string {
			for _, a := range tag.Attr {
				if a.Name.Local == name {
					return a.Value
				}
			}
			return ""
		}
		number := func(name string) float64 { v, _ := strconv.ParseFloat(attr(name), 64); return v }
		x, y := number("x"), number("y")
		switch tag.Name.Local {
		case "svg":
			if _, err := fmt.Sscanf(attr("viewBox"), "0 0 %g %g", &width, &height); err != nil {
				t.Fatal(err)
			}
		case "text":
			var text string
			if err := d.DecodeElement(&text, &tag); err != nil {
				t.Fatal(err)
			}
			em := float64(textSize)
			if strings.HasPrefix(attr("class"), "title") {
				em = titleSize
			}
			long := 0.62 * em * float64(len(text)) // in a wide font
			left := map[anchor]float64{start: x, middle: x - long/2, end: x - long}[anchor(attr("text-anchor"))]
			all = append(all, element{"text", text, left, y - 0.75*em, left + long, y + 0.2*em})
		case "rect":
			if attr("class") == "paper" {
				continue
			}
			all = append(all, element{"bar", attr("class"), x, y, x + number("width"), y + number("height")})
		case "path":
			if _, err := fmt.Sscanf(attr("d"), "M%g,%gm", &x, &y); err != nil {
				t.Fatal(err)
			}
			all = append(all, element{"mark", attr("class"), x - 5, y - 5, x + 5, y + 5})
		}
	}
}

// Nothing lies outside of a chart, and nothing under a text.
func TestChartsAreReadable(t *testing.T) {
	f := publishedResults(t)
	for _, c := range allCharts {
		all, width, height := elements(t, c.draw(f, c))
		const column = 360 - 2*16 // of text, on a phone
		if size := textSize * column / width; size < 10 {
			t.Errorf("%s is %v wide: on a phone its text has %.1f pixels", c.file, width, size)
		}
		for i, e := range all {
			if e.left < 0 || e.right > width || e.top < 0 || e.bottom > height {
				t.Errorf("%s: %+v lies outside of %v x %v", c.file, e, width, height)
			}
			for _, other := range all[:i] {
				if (e.kind == "text" || other.kind == "text") && e.overlaps(other) {
					t.Errorf("%s: %s %q lies on %s %q", c.file, e.kind, e.text, other.kind, other.text)
				}
			}
		}
		for _, r := range f.charted(c.table) {
			if !slices.ContainsFunc(all, func(e element) bool { return e.kind == "text" && strings.HasPrefix(e.text, r.name) }) {
				t.Errorf("%s does not name %s", c.file, r.name)
			}
		}
	}
}

// Contenders that cache one token do not lie on each other, nor on the lines.
func TestMarksOfOneKey(t *testing.T) {
	f := publishedResults(t)
	single := map[string]bool{}
	for _, r := range contenders {
		if class, _ := look(r); r.single {
			single[class] = true
		}
	}
	for _, c := range allCharts[:2] {
		all, _, _ := elements(t, c.draw(f, c))
		found := 0
		for i, e := range all {
			if e.kind != "mark" || !single[e.text] {
				continue
			}
			found++
			for j, other := range all {
				if i != j && other.kind == "mark" && e.overlaps(other) {
					t.Errorf("%s: %s lies on %s", c.file, e.text, other.text)
				}
			}
		}
		if found != 2*len(single) { // each in the plot and in the legend
			t.Errorf("%s: %d marks, want two for each of %d", c.file, found, len(single))
		}
	}
}

// Colors can be told from the background (WCAG 2.2, 1.4.3 and 1.4.11), which a chart brings:
// the page around it may be dark where the browser prefers light, and the other way round.
func TestColorsHaveContrast(t *testing.T) {
	paper := colors[0]
	for _, c := range colors[1:] {
		least := 3.0
		switch c.class {
		case "ink", "dim":
			least = 4.5
		case "grid":
			continue // decoration
		}
		for s, background := range paper.on {
			if got := contrast(c.on[s], background); got < least {
				t.Errorf("%s on %s: contrast %.2f, want %v", c.class, background, got, least)
			}
		}
	}
	d := drawing{title: "a < b"}
	svg := string(d.svg(10))
	for _, want := range []string{
		"<title>a &lt; b</title>",
		`<rect width="480" height="10" rx="6" class="paper"/>`,
		".paper{fill:#ffffff}",
		"@media (prefers-color-scheme:dark){\n.paper{fill:#0d1117}",
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("an empty drawing has no %s:\n%s", want, svg)
		}
	}
}

// contrast returns the contrast ratio of two colors (WCAG 2.2).
func contrast(a, b string) float64 {
	luminance := func(color string) float64 {
		var rgb [3]int
		_, _ = fmt.Sscanf(color, "#%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2])
		sum := 0.0
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			v := float64(rgb[i]) / 255
			if v <= 0.04045 {
				v /= 12.92
			} else {
				v = math.Pow((v+0.055)/1.055, 2.4)
			}
			sum += weight * v
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestLinesWithoutPlace(t *testing.T) {
	c := chart{table: "one", draw: linesBySize}
	f := &comparison{Results: []result{{0, "roomtoken", measurement{"one", "1 key", 0}}}}
	if svg := string(c.draw(f, c)); strings.Contains(svg, "<path") {
		t.Errorf("0 has a place on a logarithmic axis:\n%s", svg)
	}
	f.Results[0].Value = 7
	if svg := string(c.draw(f, c)); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Count(svg, "<path") != 2 {
		t.Errorf("a single value has no place:\n%s", svg)
	}
}

func TestNiceSteps(t *testing.T) {
	for _, test := range []struct {
		least, most float64
		want        []float64
	}{
		{38, 1331, []float64{20, 50, 100, 200, 500, 1000, 2000}},
		{1, 10, []float64{1, 2, 5, 10}},
		{0.3, 0.4, []float64{0.2, 0.5}},
		{5, 5, []float64{5}},
		{7, 7, []float64{5, 10}},
	} {
		if got := niceSteps(test.least, test.most); !slices.EqualFunc(got, test.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
			t.Errorf("niceSteps(%v, %v) = %v, want %v", test.least, test.most, got, test.want)
		}
	}
	for v, want := range map[float64]string{0.2: "0.2", 5: "5", 1000: "1,000", 2e4: "20k", 1e5: "100k", 1e6: "1M"} {
		if got := label(v); got != want {
			t.Errorf("label(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestReadValues(t *testing.T) {
	f := sampleComparison()
	var text strings.Builder
	if err := f.writeValues(&text); err != nil {
		t.Fatal(err)
	}
	got, err := readValues(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.Results {
		if want := f.values(r.Table, r.Column, r.Contender); !reflect.DeepEqual(got.values(r.Table, r.Column, r.Contender), want) {
			t.Errorf("%s, %s, %s: %v, want %v", r.Table, r.Column, r.Contender, got.values(r.Table, r.Column, r.Contender), want)
		}
	}
	for _, bad := range []string{"table\n\"", "head\na,b,c\n", "head\na,b,c,one\n"} {
		if _, err := readValues(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestRedraw(t *testing.T) {
	dir := t.TempDir()
	if err := run(t.Context(), []string{"-redraw", "-out", dir}, io.Discard, io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without values: %v", err)
	}
	values := filepath.Join(dir, valuesFile)
	if err := os.WriteFile(values, []byte("table,column,contender,round 1\nheap,1 key,roomtoken,229\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-redraw", "-out", dir}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "heap.svg"))
	if err != nil || !strings.Contains(string(svg), ">229<") {
		t.Errorf("heap.svg, %v: %s", err, svg)
	}
	if err := os.WriteFile(values, []byte("head\na\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-redraw", "-out", dir}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "results.csv: line 2") {
		t.Errorf("with values that cannot be read: %v", err)
	}
}
