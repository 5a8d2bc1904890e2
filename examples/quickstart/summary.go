package main

import (
	"fmt"
	"slices"
	"strings"
)

// wentWrong reports whether somebody was let down: a caller saw a failure or a
// token that the API would refuse, or nobody ever got a token.
func (s *stage) wentWrong() bool {
	c, _ := s.tally.read()
	return c.Failed > 0 || c.Refused > 0 || c.Answered == 0 && s.stats.CreateFailures > 0
}

// summary says what came of the run.
func (s *stage) summary() string {
	c, faults := s.tally.read()
	waited := c.waited(s.stats)

	var b strings.Builder
	row := func(name, value, remark string) {
		text := fmt.Sprintf("  %-29s %15s   %s", name, value, remark)
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	fmt.Fprintf(&b, "roomtoken quickstart: %s, %s, %d callers each, %s\n\n", seconds(s.took), roomsIn(len(s.rooms)), s.callers, s.where)

	row("calls of Token answered", count(c.Answered), "")
	row("  at once, from memory", count(c.Answered-waited), percent(c.Answered-waited, c.Answered))
	row("  after waiting for the API", count(waited), "")
	row("failures seen by callers", count(c.Failed), "")
	if c.Answered > 0 {
		row("Token takes, median", count(c.Latency.quantile(0.50))+" ns", "")
		row("  99 of 100 calls at most", count(c.Latency.quantile(0.99))+" ns", "")
		row("  the slowest", count(c.Latency.slowest)+" ns", "")
	}
	row("tokens pushed to watchers", count(c.Pushed), "")
	if s.api != nil {
		row("tokens checked with the API", count(c.Checked), "")
		row("tokens the API would refuse", count(c.Refused), "")
	}
	b.WriteString("\n")

	if s.api != nil {
		calls := s.api.Calls()
		row("calls that reached the API", count(calls.Creates+calls.Refreshes), fmt.Sprintf("%d creates, %d refreshes", calls.Creates, calls.Refreshes))
		row("  of these refused", count(refused(calls.Statuses)), statuses(calls.Statuses))
	} else {
		row("calls of the API", count(s.stats.Creates+s.stats.Refreshes), fmt.Sprintf("%d creates, %d refreshes", s.stats.Creates, s.stats.Refreshes))
		row("  of these failed", count(s.stats.CreateFailures+s.stats.RefreshFailures), "")
	}
	row("refreshes that became creates", count(s.stats.Fallbacks), "")
	if s.api != nil {
		row("faults injected", count(len(faults)), "")
		for _, fault := range faults {
			row("  "+fault, "", "")
		}
	}
	switch {
	case c.LastError != nil:
		fmt.Fprintf(&b, "\n  the last error: %v\n", c.LastError)
	case c.Answered == 0 && s.lastError != nil:
		fmt.Fprintf(&b, "\n  nobody got a token: %v\n", s.lastError)
	}
	return b.String()
}

func percent(part, whole uint64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(whole))
}

func refused(statuses map[int]int) (n int) {
	for status, times := range statuses {
		if status >= 300 {
			n += times
		}
	}
	return n
}

// statuses lists the answers that were no success: "403 x 1, 503 x 14".
func statuses(all map[int]int) string {
	var parts []string
	for status, times := range all {
		if status >= 300 {
			parts = append(parts, fmt.Sprintf("%d x %d", status, times))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
