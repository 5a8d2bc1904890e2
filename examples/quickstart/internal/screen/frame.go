package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/format"
)

// wideFrom is the width from which on a frame has all columns.
const wideFrom = len(tableHead)

// minEntries is the number of lines for log entries, however many rooms there are.
const minEntries = 4

// frame lays a snapshot out for a terminal of the given size.
func frame(s demo.Snapshot, width, height int, g glyphs) []line {
	wide := width >= wideFrom
	lines := []line{header(s, width, g)}
	for _, text := range wrap(s.Status, width, 3) {
		lines = append(lines, line{{text, colorOf(s.Level)}})
	}
	if !wide && len(lines) < 3 {
		lines = append(lines, nil) // so that the table does not jump
	}
	lines = append(lines, nil, line{{head(wide), dim}})
	bottom := totals(s, wide)

	free := height - len(lines) - len(bottom) - 2 // for rooms and log entries
	rooms := min(len(s.Rooms), max(1, free-minEntries))
	lines = append(append(lines, table(s, rooms, wide, g)...), nil)
	lines = append(append(lines, newest(s, max(0, free-rooms), width)...), nil)
	lines = append(lines, bottom...)
	lines = lines[:min(height, len(lines))]
	for i := range lines {
		lines[i] = lines[i].cut(width)
	}
	return lines
}

func header(s demo.Snapshot, width int, g glyphs) line {
	left, api := "roomtoken quickstart", "  "+s.API
	right := format.Seconds(s.Elapsed) + ", Ctrl-C to stop"
	if s.Duration > 0 {
		right = fmt.Sprintf("%.0f of %.0f s", s.Elapsed.Seconds(), s.Duration.Seconds())
		if width >= wideFrom {
			right = fmt.Sprintf("%s %2.0f of %.0f s", bar(20, float64(s.Elapsed)/float64(s.Duration), g), s.Elapsed.Seconds(), s.Duration.Seconds())
		}
	}
	if width < wideFrom {
		api = ""
	}
	gap := width - len(left) - len(api) - utf8.RuneCountInString(right)
	return line{{left, bold}, {api, dim}, {strings.Repeat(" ", max(2, gap)) + right, noColor}}
}

// newest returns n lines with the newest log entries. Entries that do not fit into the
// width take several lines.
func newest(s demo.Snapshot, n, width int) []line {
	var lines []line
	for i := len(s.Entries) - 1; i >= 0 && len(lines) < n; i-- {
		lines = append(entryLines(s.Entries[i], s.Time.Add(-s.Elapsed), width), lines...)
	}
	lines = lines[max(0, len(lines)-n):]
	return append(lines, make([]line, n-len(lines))...)
}

// entryLines lays a log entry out. In a narrow terminal it may take several lines.
func entryLines(e demo.Entry, start time.Time, width int) []line {
	entry := entryLine(e, start)
	if width >= wideFrom {
		return []line{entry}
	}
	prefix, text := entry[:len(entry)-1], entry[len(entry)-1]
	indent := utf8.RuneCountInString(prefix.raw())
	var lines []line
	for _, part := range wrap(text.text, width-indent, 3) {
		lines = append(lines, append(slices.Clone(prefix), span{part, text.color}))
		prefix = line{{strings.Repeat(" ", indent), noColor}}
	}
	return lines
}

func entryLine(e demo.Entry, start time.Time) line {
	subject := "API"
	if e.Room != "" {
		subject = format.ShortID(e.Room)
	}
	return line{
		{fmt.Sprintf("%5.1f s  ", e.Time.Sub(start).Seconds()), dim},
		{fmt.Sprintf("%-8s  ", subject), noColor},
		{e.Text, colorOf(e.Level)},
	}
}

// totals returns the last lines of a frame.
func totals(s demo.Snapshot, wide bool) []line {
	c, waited := s.Counts, s.Counts.Waited(s.Stats)
	calls := s.Stats.Creates + s.Stats.Refreshes
	failed := s.Stats.CreateFailures + s.Stats.RefreshFailures
	tokens := span{format.Count(c.Succeeded) + " tokens", noColor}
	errors := span{format.Count(c.Failed) + " errors", goodIfZero(c.Failed)}
	median, slowest := format.Millis(c.Latency.Quantile(0.5)), format.Millis(c.Latency.Max())
	checked := span{fmt.Sprintf("API rejects %s of %s tokens", format.Count(c.Rejected), format.Count(c.Checked)), goodIfZero(c.Rejected)}
	if c.Checked == 0 {
		checked = span{}
	}
	if !wide {
		return []line{
			{{"callers ", dim}, tokens, {", ", noColor}, errors},
			{{"  waited ", dim}, {format.Count(waited) + ", at most " + slowest, noColor}},
			{{"API ", dim}, {fmt.Sprintf("%s calls, %s failed", format.Count(calls), format.Count(failed)), noColor}},
			{checked},
		}
	}
	join := span{"; ", noColor}
	if checked.text == "" {
		join = span{}
	}
	return []line{
		{
			{"callers   ", dim},
			tokens,
			{fmt.Sprintf(": %s from memory, %s after a wait; ", format.Count(c.Succeeded-waited), format.Count(waited)), noColor},
			errors,
		},
		{
			{"latency   ", dim},
			{fmt.Sprintf("of Token: median %s, at most %s; watchers: %s tokens", median, slowest, format.Count(c.Pushed)), noColor},
		},
		{
			{"API calls ", dim},
			{fmt.Sprintf("%s create, %s refresh, %s of %s failed",
				format.Count(s.Stats.Creates), format.Count(s.Stats.Refreshes), format.Count(failed), format.Count(calls)), noColor},
			join, checked,
		},
	}
}

func goodIfZero(n uint64) color {
	if n > 0 {
		return colorOf(demo.Bad)
	}
	return colorOf(demo.Good)
}
