package screen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/format"
)

// Summary returns the outcome of a run as text with lines of at most width characters.
func Summary(r demo.Result, width int) string {
	s := &summary{width: width}
	s.text(fmt.Sprintf("roomtoken quickstart: %s, %s, %d callers each, %s", format.Seconds(r.Took), format.Rooms(r.Rooms), r.CallersPerRoom, r.API))
	s.callers(r)
	s.tokens(r)
	s.calls(r)
	if len(r.Faults) > 0 {
		s.section("What went wrong, on purpose")
		for _, fault := range r.Faults {
			s.row("-", fault)
		}
	}
	switch c := r.Counts; {
	case c.LastError != nil:
		s.section(fmt.Sprintf("last error: %v", c.LastError))
	case c.Succeeded == 0 && r.RoomError != nil:
		s.section(fmt.Sprintf("no caller got a token: %v", r.RoomError))
	case !r.Failed() && c.Succeeded > 0:
		s.section("Every caller got a good token.")
	}
	return s.String()
}

// summary builds the text of a Summary.
type summary struct {
	strings.Builder
	width int
}

// text writes a paragraph.
func (s *summary) text(text string) {
	for _, line := range wrap(text, s.width, 0) {
		s.WriteString(line + "\n")
	}
}

// section writes a heading.
func (s *summary) section(title string) {
	s.WriteString("\n")
	s.text(title)
}

// valueWidth is the width of the first column of a row.
const valueWidth = 10

// row writes a value and what it means. The value is the beginning of a sentence.
func (s *summary) row(value, meaning string) {
	for i, line := range wrap(meaning, s.width-valueWidth-2, 0) {
		if i > 0 {
			value = ""
		}
		fmt.Fprintf(s, "%*s  %s\n", valueWidth, value, line)
	}
}

func (s *summary) callers(r demo.Result) {
	c, waited := r.Counts, r.Counts.Waited(r.Stats)
	s.section("What callers got from Token")
	s.row(format.Count(c.Succeeded), "tokens")
	if c.Succeeded > 0 {
		s.row(format.Count(c.Succeeded-waited), "from memory: "+format.Percent(c.Succeeded-waited, c.Succeeded))
		s.row(format.Count(waited), "after waiting for the API, because the room had no token yet or its token was refused")
	}
	s.row(format.Count(c.Failed), "errors")
	if c.Succeeded > 0 {
		s.section("How long Token took")
		s.row(format.Millis(c.Latency.Quantile(0.50)), "median")
		s.row(format.Millis(c.Latency.Quantile(0.99)), "99th percentile")
		s.row(format.Millis(c.Latency.Max()), "maximum; a caller who waits, waits for the API")
	}
}

func (s *summary) tokens(r demo.Result) {
	c := r.Counts
	s.section("What became of the tokens")
	s.row(format.Count(c.Pushed), "pushed to Watch, one for each new token of a room")
	s.row(format.Count(r.Stats.Invalidations), "given to Invalidate, because the room refused it")
	if r.APICalls != nil {
		s.row(format.Count(c.Checked), "presented to the API, as by participants who join")
		s.row(format.Count(c.Revoked), "of them refused, because the API had revoked them")
		s.row(format.Count(c.Rejected), "of them refused for another reason, such as being too old")
	}
}

func (s *summary) calls(r demo.Result) {
	s.section("What it took: API calls")
	if calls := r.APICalls; calls != nil {
		s.row(format.Count(calls.Creates), "creates, with the API key")
		s.row(format.Count(calls.Refreshes), "refreshes, with a refresh token only")
		failed := "of them answered with an error"
		if statuses := errorStatuses(calls.Statuses); statuses != "" {
			failed += ": " + statuses
		}
		s.row(format.Count(errorCount(calls.Statuses)), failed)
	} else {
		s.row(format.Count(r.Stats.Creates), "creates, with the API key")
		s.row(format.Count(r.Stats.Refreshes), "refreshes, with a refresh token only")
		s.row(format.Count(r.Stats.CreateFailures+r.Stats.RefreshFailures), "of them failed")
	}
	s.row(format.Count(r.Stats.Fallbacks), "creates in place of a refresh, because the refresh token was refused or had lapsed, or the refresh kept failing")
}

func errorCount(statuses map[int]int) (n int) {
	for status, times := range statuses {
		if status >= 300 {
			n += times
		}
	}
	return n
}

// errorStatuses lists how often each error status was sent: "403 x 1, 503 x 14".
func errorStatuses(statuses map[int]int) string {
	var parts []string
	for status, times := range statuses {
		if status >= 300 {
			parts = append(parts, fmt.Sprintf("%d x %d", status, times))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
