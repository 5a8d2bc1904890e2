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

	"github.com/roomtoken/roomtoken/bench/internal/stat"
)

// publish prints the tables and writes the page, the charts and every single
// value into a directory.
func publish(found *comparison, dir string, stdout io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // it is published
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
	for name, text := range map[string]string{"README.md": found.page(charts), "results.csv": values.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // it is published
			return err
		}
	}
	_, err = io.WriteString(stdout, found.summary()+"\n"+found.tables(nil))
	return err
}

// values returns what a contender reached in a column, a value per round.
func (f *comparison) values(table, column, contender string) []float64 {
	var all []float64
	for _, r := range f.Results {
		if r.Table == table && r.Column == column && r.Contender == contender {
			all = append(all, r.Value)
		}
	}
	return all
}

// median returns the median over the rounds; ok is false if there is none.
func (f *comparison) median(table, column, contender string) (m float64, ok bool) {
	all := f.values(table, column, contender)
	return stat.Median(all), len(all) > 0
}

// columns returns the columns of a table, as the contender with the most of them
// has them.
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

// rows returns the contenders that are in a table.
func (f *comparison) rows(table string) []contender {
	var rows []contender
	for _, c := range contenders {
		if slices.ContainsFunc(f.Results, func(r result) bool { return r.Table == table && r.Contender == c.name }) {
			rows = append(rows, c)
		}
	}
	return rows
}

// page returns the page in Markdown. charts are the names of the images by the
// table that they show.
func (f *comparison) page(charts map[string]string) string {
	var b strings.Builder
	b.WriteString("# roomtoken and its peers on the same work\n\n" +
		"Written by `" + f.Command + "` in `bench`; `make compare` does it all again on your machine. Each contender, work and round has a process of its own, and the " +
		"contenders take turns. Numbers are medians over " + count(f.Rounds, "round") + ". In brackets: the ratio to the floor (`" + referenceFloor +
		"`: a look-up and a reading of the clock) and to roomtoken; each is the median of the ratios within a round. A hit includes the call " +
		"through an interface that all contenders share, and getting at the token's text. " + f.noise() + "\n\n")
	if f.Scale != "full" {
		b.WriteString("**Small sizes, few rounds: this says that it works, not how fast.**\n\n")
	}
	b.WriteString(f.summary() + "\n" + f.betterPeers() + f.tables(charts))

	b.WriteString("## Where and with what\n\n| | |\n|---|---|\n")
	row := func(name, value string) { fmt.Fprintf(&b, "| %s | %s |\n", name, value) }
	row("processor", f.Machine.CPU+", "+count(f.Machine.Cores, "core")+" in use")
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
	b.WriteString("\nAll contenders are set up for the same terms, as far as they have knobs for them: see `bench/contender_*.go`. " +
		"Every value of every round is in [results.csv](results.csv).\n")
	return b.String()
}

// noise says how far the rounds are apart.
func (f *comparison) noise() string {
	if f.Rounds < 2 {
		return "There was one round only."
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
	return fmt.Sprintf("Between the best and the worst round lie %.0f %% of a value, at the median.", 100*stat.Median(spreads))
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

var headlines = []headline{
	{"hit, 1 key", "one", "1 key", " ns"},
	{"hit, %s", "one", "", " ns"},
	{"latency of a read, %s", "dependent", "", " ns"},
	{"heap per key", "heap", "", " B"},
	{"calls for a crowd on a cold key", "cold", "source calls", ""},
	{"source slow: callers leave late by", "slow", "late, worst, ms", " ms"},
	{"source down for a minute: calls to it", "down", "source calls", ""},
	{"... and calls that outlived their deadline", "down", "outlived their deadline", ""},
}

// summary returns the table that says it all.
func (f *comparison) summary() string {
	var b strings.Builder
	heads := []string{""}
	var shown []headline
	for _, h := range headlines {
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

// noticeable is by how much a ratio is from 1 for somebody to be called better.
const noticeable = 0.03

// betterPeers lists where a peer does better than roomtoken, and why.
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
					cells = append(cells, fmt.Sprintf("%s %s against %s (%s)", c.name, number(stat.Median(theirs)), number(stat.Median(ours)), column))
				}
			}
		}
		if len(cells) > 0 {
			lines = append(lines, fmt.Sprintf("- %s: %s. %s\n", t.title, strings.Join(cells, ", "), t.why))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return fmt.Sprintf("## Where a peer does better\n\nBy more than %.0f %%, in the tables that have ratios:\n\n%s\n", 100*noticeable, strings.Join(lines, ""))
}

// tables returns all tables, each with its chart, if there is one.
func (f *comparison) tables(charts map[string]string) string {
	var b strings.Builder
	for _, t := range allTables() {
		rows := f.rows(t.id)
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "## %s\n\n", t.title)
		if t.note != "" {
			b.WriteString(t.note)
			if t.more {
				b.WriteString(" More is better.")
			}
			b.WriteString("\n\n")
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

// displayName is how a contender stands in a table.
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

// number formats a value with three digits or so.
func number(v float64) string {
	switch {
	case v > -0.005 && v < 0.005:
		return "0"
	case v >= 99.95 || v == float64(int64(v)):
		return grouped(int64(v + 0.5))
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

// grouped formats a number with commas between the thousands.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// writeValues writes every value: a line per table, column and contender, with
// the rounds behind one another.
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
					line = append(line, strconv.FormatFloat(v, 'g', 5, 64))
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
