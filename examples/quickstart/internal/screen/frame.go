package screen

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/format"
)

const (
	otherLines = 9 // lines that are neither rooms nor log entries
	minEntries = 4 // log entries shown, however many rooms there are
)

// frame lays a snapshot out for a terminal of the given size.
func frame(s demo.Snapshot, width, height int, g glyphs) []line {
	lines := []line{header(s, width, g), {{s.Status, colorOf(s.Level)}}, nil, {{tableHead, dim}}}
	rooms := min(len(s.Rooms), max(1, height-otherLines-minEntries))
	lines = append(append(lines, table(s, rooms, g)...), nil)
	lines = append(append(lines, newest(s, max(0, height-otherLines-rooms))...), nil)
	lines = append(lines, totals(s)...)
	lines = lines[:min(height, len(lines))]
	for i := range lines {
		lines[i] = lines[i].cut(width)
	}
	return lines
}

func header(s demo.Snapshot, width int, g glyphs) line {
	left := "roomtoken quickstart"
	var right string
	if s.Duration > 0 {
		progress := bar(20, float64(s.Elapsed)/float64(s.Duration), g)
		right = fmt.Sprintf("%s %2.0f of %.0f s", progress, s.Elapsed.Seconds(), s.Duration.Seconds())
	} else {
		right = format.Seconds(s.Elapsed) + ", Ctrl-C to stop"
	}
	api := "  " + s.API
	gap := width - len(left) - len(api) - utf8.RuneCountInString(right)
	return line{{left, bold}, {api, dim}, {strings.Repeat(" ", max(2, gap)) + right, noColor}}
}

// newest returns n lines with the newest log entries.
func newest(s demo.Snapshot, n int) []line {
	lines := make([]line, n)
	entries := s.Entries[max(0, len(s.Entries)-n):]
	for i, e := range entries {
		lines[i] = entryLine(e, s.Time.Add(-s.Elapsed))
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

// totals returns the last three lines of a frame.
func totals(s demo.Snapshot) []line {
	c, waited := s.Counts, s.Counts.Waited(s.Stats)
	calls := s.Stats.Creates + s.Stats.Refreshes
	failed := s.Stats.CreateFailures + s.Stats.RefreshFailures
	var checked string
	if c.Checked > 0 {
		checked = fmt.Sprintf("; API rejects %s of %s tokens", format.Count(c.Rejected), format.Count(c.Checked))
	}
	return []line{
		{
			{"callers   ", dim},
			{fmt.Sprintf("%s tokens: %s from memory, %s after a wait; ",
				format.Count(c.Succeeded), format.Count(c.Succeeded-waited), format.Count(waited)), noColor},
			{format.Count(c.Failed) + " errors", goodIfZero(c.Failed)},
		},
		{
			{"latency   ", dim},
			{fmt.Sprintf("of Token: median %s ns, 99 %% below %s ns; watchers: %s tokens",
				format.Count(c.Latency.Quantile(0.5)), format.Count(c.Latency.Quantile(0.99)), format.Count(c.Pushed)), noColor},
		},
		{
			{"API calls ", dim},
			{fmt.Sprintf("%s create, %s refresh, %s of %s failed",
				format.Count(s.Stats.Creates), format.Count(s.Stats.Refreshes), format.Count(failed), format.Count(calls)), noColor},
			{checked, goodIfZero(c.Rejected)},
		},
	}
}

func goodIfZero(n uint64) color {
	if n > 0 {
		return colorOf(demo.Bad)
	}
	return colorOf(demo.Good)
}
