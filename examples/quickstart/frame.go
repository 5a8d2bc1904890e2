package main

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/roomtoken/roomtoken"
)

// A frame is a snapshot as lines of text, each a row of spans in one colour.
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
	plain  color = ""
	bold   color = "1"
	dim    color = "2"
	red    color = "31"
	green  color = "32"
	yellow color = "33"
)

func (m mood) color() color { return [...]color{plain, green, yellow, red}[m] }

// glyphs are the characters that bars are made of.
type glyphs struct{ full, empty string }

var (
	ascii  = glyphs{"#", "."}
	blocks = glyphs{"█", "░"}
)

// frame draws a snapshot for a terminal of this size.
func frame(s snapshot, width, height int, g glyphs) []line {
	lines := []line{header(s, width, g), {{s.now, s.mood.color()}}, nil, {{tableHead, dim}}}
	const around = 9 // lines that are neither rooms nor entries
	const leastEntries = 4
	shown := min(len(s.rooms), max(1, height-around-leastEntries))
	for _, r := range s.rooms[:shown] {
		lines = append(lines, tableRow(r, s.time, g))
	}
	if more := len(s.rooms) - shown; more > 0 {
		lines[len(lines)-1] = line{{fmt.Sprintf("and %d more rooms", more+1), dim}}
	}
	lines = append(lines, nil)
	space := max(0, height-around-shown)
	for i := range space {
		if i += len(s.entries) - min(space, len(s.entries)); i < len(s.entries) {
			lines = append(lines, entryLine(s.entries[i], s.time.Add(-s.elapsed)))
		} else {
			lines = append(lines, nil)
		}
	}
	lines = append(append(lines, nil), totals(s)...)
	lines = lines[:min(height, len(lines))]
	for i := range lines {
		lines[i] = lines[i].cut(width)
	}
	return lines
}

func header(s snapshot, width int, g glyphs) line {
	left := "roomtoken quickstart"
	var right string
	if s.length > 0 {
		right = fmt.Sprintf("%s %2.0f of %.0f s", bar(20, float64(s.elapsed)/float64(s.length), g), s.elapsed.Seconds(), s.length.Seconds())
	} else {
		right = seconds(s.elapsed) + ", Ctrl-C ends it"
	}
	where := "  " + s.where
	gap := width - len(left) - len(where) - utf8.RuneCountInString(right)
	return line{{left, bold}, {where, dim}, {strings.Repeat(" ", max(2, gap)) + right, plain}}
}

const tableHead = "room      state    time left       next call      gen calls fails fallback waits"

func tableRow(r roomRow, now time.Time, g glyphs) line {
	state, stateColor := "-", dim
	if r.known {
		state, stateColor = r.status.State.String(), stateMood(r.status.State).color()
	}
	left := r.status.ExpiresAt.Sub(now)
	leftText, share := "-", 0.0
	if !r.status.ExpiresAt.IsZero() {
		leftText = seconds(left)
		share = float64(left) / float64(max(r.log.lifetime, 1))
	}
	leftMood := good
	switch {
	case share < 0.1:
		leftMood = alarm
	case share < 1.0/3: // its renewal is due
		leftMood = warning
	}
	rest := fmt.Sprintf(" %3d %5d %5d %8d %5d", r.status.Generation, r.log.calls, r.log.failed, r.log.fallbacks, r.waits)
	return line{
		{fmt.Sprintf("%-8s  ", short(r.id)), plain},
		{fmt.Sprintf("%-8s ", state), stateColor},
		{bar(8, share, g), leftMood.color()},
		{fmt.Sprintf(" %5s  %-13s ", leftText, nextCall(r, now)), plain},
		{rest, plain},
	}
}

func stateMood(s roomtoken.RoomState) mood {
	switch s {
	case roomtoken.RoomValid, roomtoken.RoomIdle:
		return good
	case roomtoken.RoomRetrying:
		return warning
	case roomtoken.RoomEmpty:
		return neutral
	default:
		return alarm
	}
}

// nextCall says which call of the room is next, and when.
func nextCall(r roomRow, now time.Time) string {
	wait := r.status.NextCallAt.Sub(now)
	switch {
	case !r.known && r.opensIn > 0:
		return "opens " + seconds(r.opensIn)
	case r.status.InFlight != 0:
		return r.status.InFlight.String() + " runs"
	case r.status.NextCall == 0:
		return "-"
	case wait <= 0:
		return r.status.NextCall.String() + " now"
	default:
		return r.status.NextCall.String() + " " + seconds(wait)
	}
}

func entryLine(e entry, start time.Time) line {
	who := "API"
	if e.room != "" {
		who = short(e.room)
	}
	return line{
		{fmt.Sprintf("%5.1f s  ", e.at.Sub(start).Seconds()), dim},
		{fmt.Sprintf("%-8s  ", who), plain},
		{e.text, e.mood.color()},
	}
}

// totals are the last lines of a frame.
func totals(s snapshot) []line {
	c, waited := s.counts, s.counts.waited(s.stats)
	callers := good
	if c.Failed > 0 {
		callers = alarm
	}
	checks := good
	if c.Refused > 0 {
		checks = alarm
	}
	calls := s.stats.Creates + s.stats.Refreshes
	failed := s.stats.CreateFailures + s.stats.RefreshFailures
	checked := fmt.Sprintf("; would refuse %s of %s tokens", count(c.Refused), count(c.Checked))
	if c.Checked == 0 {
		checked = ""
	}
	return []line{
		{
			{"callers   ", dim},
			{fmt.Sprintf("%s tokens, %s at once, %s after a wait, ", count(c.Answered), count(c.Answered-waited), count(waited)), plain},
			{fmt.Sprintf("%s failures", count(c.Failed)), callers.color()},
		},
		{
			{"Token     ", dim},
			{fmt.Sprintf("takes %s ns (median), %s ns (99 of 100); watchers got %s tokens",
				count(c.Latency.quantile(0.5)), count(c.Latency.quantile(0.99)), count(c.Pushed)), plain},
		},
		{
			{"API calls ", dim},
			{fmt.Sprintf("%s: create %s, refresh %s, failed %s", count(calls), count(s.stats.Creates), count(s.stats.Refreshes), count(failed)), plain},
			{checked, checks.color()},
		},
	}
}

// bar draws a share as so many characters.
func bar(width int, share float64, g glyphs) string {
	full := min(max(int(math.Round(share*float64(width))), 0), width)
	return strings.Repeat(g.full, full) + strings.Repeat(g.empty, width-full)
}

// cut returns the beginning of the line that fits.
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

// String returns the line without colours.
func (l line) String() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.text)
	}
	return strings.TrimRight(b.String(), " ")
}

// colored returns the line with ANSI colours.
func (l line) colored() string {
	var b strings.Builder
	for _, s := range l {
		if s.color == plain {
			b.WriteString(s.text)
		} else {
			b.WriteString("\x1b[" + string(s.color) + "m" + s.text + "\x1b[0m")
		}
	}
	return b.String()
}
