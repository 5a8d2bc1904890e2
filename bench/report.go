package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken/bench/internal/stat"
)

// valuesFile is the file with all values.
const valuesFile = "results.csv"

// publish prints the tables, and writes the page, the charts and all values into a
// directory.
func publish(found *comparison, dir string, stdout io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // for publication
		return err
	}
	charts, err := drawCharts(found, dir)
	if err != nil {
		return err
	}
	var values strings.Builder
	if err := found.writeValues(&values); err != nil {
		return err
	}
	for name, text := range map[string]string{"README.md": found.page(charts), valuesFile: values.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // for publication
			return err
		}
	}
	_, err = io.WriteString(stdout, found.summary()+"\n"+found.tables(nil))
	return err
}

// redraw draws the charts of the values in a directory.
func redraw(dir string) error {
	file, err := os.Open(filepath.Join(dir, valuesFile)) //nolint:gosec // of the user's choice
	if err != nil {
		return err
	}
	defer file.Close()
	found, err := readValues(file)
	if err != nil {
		return fmt.Errorf("%s: %w", valuesFile, err)
	}
	_, err = drawCharts(found, dir)
	return err
}

// values returns a contender's values in a column, by round.
func (f *comparison) values(table, column, contender string) []float64 {
	var all []float64
	for _, r := range f.Results {
		if r.Table == table && r.Column == column && r.Contender == contender {
			all = append(all, r.Value)
		}
	}
	return all
}

// median returns the median over the rounds; ok is false if there are no values.
func (f *comparison) median(table, column, contender string) (m float64, ok bool) {
	all := f.values(table, column, contender)
	return stat.Median(all), len(all) > 0
}

// columns returns the columns of a table, in the order of the contender that has the
// most of them.
func (f *comparison) columns(table string) []string {
	byContender := map[string][]string{}
	var longest []string
	for _, r := range f.Results {
		if r.Table != table || slices.Contains(byContender[r.Contender], r.Column) {
			continue
		}
		byContender[r.Contender] = append(byContender[r.Contender], r.Column)
		if mine := byContender[r.Contender]; len(mine) > len(longest) {
			longest = mine
		}
	}
	return longest
}

// rows returns the contenders of a table.
func (f *comparison) rows(table string) []contender {
	var rows []contender
	for _, c := range contenders {
		if slices.ContainsFunc(f.Results, func(r result) bool { return r.Table == table && r.Contender == c.name }) {
			rows = append(rows, c)
		}
	}
	return rows
}

// page returns the page in Markdown. charts are the file names of charts, by table.
func (f *comparison) page(charts map[string]string) string {
	var b strings.Builder
	b.WriteString("# roomtoken compared with similar libraries\n\n")
	b.WriteString(wrap("Written by `"+f.Command+"` in `bench`; run `make compare` to repeat it on your machine. Each combination of contender, work and "+
		"round has a separate process, and contenders alternate. Values are medians over "+count(f.Rounds, "round")+". In parentheses: the ratio "+
		"to the floor (`"+referenceFloor+"`: a lookup and one reading of the clock) and the ratio to roomtoken, both medians of the ratios within "+
		"a round. A hit includes a call through an interface that all contenders share, and reading the token's text. "+f.noise()) + "\n")
	if f.Scale != "full" {
		b.WriteString("**Small sizes and few rounds: this run shows that it works, not how fast.**\n\n")
	}
	b.WriteString(f.summary() + "\n" + f.betterPeers() + f.tables(charts))

	b.WriteString("## Environment\n\n| | |\n|---|---|\n")
	row := func(name, value string) { fmt.Fprintf(&b, "| %s | %s |\n", name, value) }
	row("processor", f.Machine.CPU+", "+count(f.Machine.Cores, "core"))
	row("system", f.Machine.OS)
	row("Go", f.Machine.Go)
	row("date", f.Machine.Date)
	modules := make([]string, 0, len(f.Machine.Versions))
	for module := range f.Machine.Versions {
		modules = append(modules, module)
	}
	slices.Sort(modules)
	for _, module := range modules {
		row(module, f.Machine.Versions[module])
	}
	b.WriteString("\n" + wrap("All contenders have the same configuration, as far as they have the options: see `bench/contender_*.go`. "+
		"The values of all rounds are in [results.csv](results.csv)."))
	return b.String()
}

// noise returns a sentence about the spread of the rounds.
func (f *comparison) noise() string {
	if f.Rounds < 2 {
		return "There was only one round."
	}
	var spreads []float64
	for _, t := range allTables() {
		if !t.ratios {
			continue
		}
		for _, column := range f.columns(t.id) {
			for _, c := range f.rows(t.id) {
				if all := f.values(t.id, column, c.name); len(all) > 0 {
					spreads = append(spreads, (slices.Max(all)-slices.Min(all))/stat.Median(all))
				}
			}
		}
	}
	if len(spreads) == 0 {
		return ""
	}
	return fmt.Sprintf("The best and the worst round of a value differ by %.0f %% (median).", 100*stat.Median(spreads))
}

func allTables() []table {
	var all []table
	for _, w := range works {
		all = append(all, w.tables...)
	}
	return all
}

// headline is a column of the summary.
type headline struct {
	title  string
	table  string
	column string // "": the last one
	unit   string
}

// headlines are the columns of the summary, in two tables: one of all would be too wide for
// a phone.
var headlines = [][]headline{
	{
		{"hit, 1 key", "one", "1 key", " ns"},
		{"hit, %s", "one", "", " ns"},
		{"latency of a read, %s", "dependent", "", " ns"},
		{"heap per key", "heap", "", " B"},
	},
	{
		{"cold key: source calls", "cold", "source calls", ""},
		{"slow source: callers late by", "slow", "late, worst, ms", " ms"},
		{"source down for a minute: source calls", "down", "source calls", ""},
		{"source down for a minute: callers late", "down", "returned late", ""},
	},
}

// summary returns tables of the most important results.
func (f *comparison) summary() string {
	var tables []string
	for _, columns := range headlines {
		if table := f.summaryTable(columns); table != "" {
			tables = append(tables, table)
		}
	}
	return strings.Join(tables, "\n")
}

// summaryTable returns a table with those of the columns that have results, "" if none has.
func (f *comparison) summaryTable(all []headline) string {
	var b strings.Builder
	heads := []string{""}
	var shown []headline
	for _, h := range all {
		columns := f.columns(h.table)
		if len(columns) == 0 {
			continue
		}
		if h.column == "" {
			h.column = columns[len(columns)-1]
		}
		if strings.Contains(h.title, "%s") {
			h.title = fmt.Sprintf(h.title, h.column)
		}
		shown = append(shown, h)
		heads = append(heads, h.title)
	}
	if len(shown) == 0 {
		return ""
	}
	writeHead(&b, heads)
	for _, c := range contenders {
		if c.kind == floor && c.name != referenceFloor {
			continue
		}
		cells := []string{displayName(c)}
		some := false
		for _, h := range shown {
			cell := ""
			if m, ok := f.median(h.table, h.column, c.name); ok {
				cell, some = number(m)+h.unit, true
			}
			cells = append(cells, cell)
		}
		if some {
			writeRow(&b, cells)
		}
	}
	return b.String()
}

// noticeable is the least advantage that counts as better.
const noticeable = 0.03

// betterPeers returns a section on the results in which a peer is better than
// roomtoken.
func (f *comparison) betterPeers() string {
	var lines []string
	for _, t := range allTables() {
		if !t.ratios {
			continue
		}
		var cells []string
		for _, column := range f.columns(t.id) {
			ours := f.values(t.id, column, roomtokenContender.name)
			for _, c := range f.rows(t.id) {
				theirs := f.values(t.id, column, c.name)
				if c.kind != peer || len(ours) == 0 || len(theirs) == 0 {
					continue
				}
				advantage := 1 - stat.Median(stat.Ratios(theirs, ours))
				if t.more {
					advantage = -advantage
				}
				if advantage > noticeable {
					cells = append(cells, fmt.Sprintf("%s %s, roomtoken %s (%s)", c.name, number(stat.Median(theirs)), number(stat.Median(ours)), column))
				}
			}
		}
		if len(cells) > 0 {
			lines = append(lines, wrap(fmt.Sprintf("- %s: %s. %s", t.title, strings.Join(cells, ", "), t.why)))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return fmt.Sprintf("## Where others are better\n\nBy more than %.0f %%, in the tables with ratios:\n\n%s\n", 100*noticeable, strings.Join(lines, ""))
}

// tables returns all tables with their charts.
func (f *comparison) tables(charts map[string]string) string {
	var b strings.Builder
	for _, t := range allTables() {
		rows := f.rows(t.id)
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "## %s\n\n", t.title)
		if t.note != "" {
			note := t.note
			if t.more {
				note += " More is better."
			}
			b.WriteString(wrap(note) + "\n")
		}
		if chart := charts[t.id]; chart != "" {
			fmt.Fprintf(&b, "![%s](%s)\n\n", t.title, chart)
		}
		columns := f.columns(t.id)
		writeHead(&b, append([]string{""}, columns...))
		for _, c := range rows {
			cells := []string{displayName(c)}
			for _, column := range columns {
				cells = append(cells, f.cell(t, column, c.name))
			}
			writeRow(&b, cells)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// cell returns a median with its ratios.
func (f *comparison) cell(t table, column, contender string) string {
	values := f.values(t.id, column, contender)
	if len(values) == 0 {
		return ""
	}
	text := number(stat.Median(values))
	if !t.ratios {
		return text
	}
	var ratios []string
	for _, reference := range []string{referenceFloor, roomtokenContender.name} {
		if base := f.values(t.id, column, reference); len(base) > 0 {
			ratios = append(ratios, ratio(stat.Median(stat.Ratios(values, base))))
		}
	}
	if len(ratios) == 0 {
		return text
	}
	return text + " (" + strings.Join(ratios, " / ") + ")"
}

// displayName is a contender's name in a table.
func displayName(c contender) string {
	switch c.kind {
	case us:
		return "**" + c.name + "**"
	case floor:
		return "floor: " + c.name
	default:
		return c.name
	}
}

func writeHead(b *strings.Builder, heads []string) {
	writeRow(b, heads)
	b.WriteString("|---|" + strings.Repeat("---:|", len(heads)-1) + "\n")
}

func writeRow(b *strings.Builder, cells []string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// wrap breaks a paragraph into lines of at most 120 columns. The further lines of a
// list item are indented.
func wrap(paragraph string) string {
	const columns = 120
	indent := ""
	if strings.HasPrefix(paragraph, "- ") {
		indent = "  "
	}
	var b strings.Builder
	width := 0
	for i, word := range strings.Fields(paragraph) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case width+1+n > columns:
			b.WriteString("\n" + indent)
			width = len(indent)
		default:
			b.WriteString(" ")
			width++
		}
		b.WriteString(word)
		width += n
	}
	return b.String() + "\n"
}

// number formats a value with about three digits.
func number(v float64) string {
	switch {
	case v > -0.005 && v < 0.005:
		return "0"
	case v >= 99.95 || v == float64(int64(v)):
		return stat.Grouped(int64(v + 0.5))
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// ratio formats a ratio.
func ratio(v float64) string {
	if v >= 9.95 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// writeValues writes all values: a line per table, column and contender, with a field
// per round.
func (f *comparison) writeValues(w io.Writer) error {
	out := csv.NewWriter(w)
	head := []string{"table", "column", "contender"}
	for round := range f.Rounds {
		head = append(head, fmt.Sprint("round ", round+1))
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for _, t := range allTables() {
		for _, column := range f.columns(t.id) {
			for _, c := range f.rows(t.id) {
				values := f.values(t.id, column, c.name)
				if len(values) == 0 {
					continue
				}
				line := []string{t.id, column, c.name}
				for _, v := range values {
					line = append(line, strconv.FormatFloat(v, 'g', 7, 64))
				}
				if err := out.Write(line); err != nil {
					return err
				}
			}
		}
	}
	out.Flush()
	return out.Error()
}

// readValues reads what writeValues has written. Of the comparison it returns the results
// only.
func readValues(r io.Reader) (*comparison, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1 // a contender may lack rounds
	lines, err := in.ReadAll()
	if err != nil {
		return nil, err
	}
	f := &comparison{}
	for n, line := range lines[min(1, len(lines)):] {
		if len(line) < 4 {
			return nil, fmt.Errorf("line %d has %d fields, want 4 at least", n+2, len(line))
		}
		for round, text := range line[3:] {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n+2, err)
			}
			f.Results = append(f.Results, result{round, line[2], measurement{line[0], line[1], v}})
		}
	}
	return f, nil
}
