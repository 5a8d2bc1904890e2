package screen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/format"
)

// Summary returns the outcome of a run as text.
func Summary(r demo.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "roomtoken quickstart: %s, %s, %d callers each, %s\n\n", format.Seconds(r.Took), format.Rooms(r.Rooms), r.CallersPerRoom, r.API)
	summarizeCallers(&b, r)
	b.WriteString("\n")
	summarizeAPI(&b, r)
	switch {
	case r.Counts.LastError != nil:
		fmt.Fprintf(&b, "\n  last error: %v\n", r.Counts.LastError)
	case r.Counts.Succeeded == 0 && r.RoomError != nil:
		fmt.Fprintf(&b, "\n  no caller got a token: %v\n", r.RoomError)
	}
	return b.String()
}

func summarizeCallers(b *strings.Builder, r demo.Result) {
	c, waited := r.Counts, r.Counts.Waited(r.Stats)
	row(b, "Token calls that succeeded", format.Count(c.Succeeded), "")
	row(b, "  from memory", format.Count(c.Succeeded-waited), format.Percent(c.Succeeded-waited, c.Succeeded))
	row(b, "  after waiting for the API", format.Count(waited), "")
	row(b, "Token calls that failed", format.Count(c.Failed), "")
	if c.Succeeded > 0 {
		row(b, "Token latency, median", format.Count(c.Latency.Quantile(0.50))+" ns", "")
		row(b, "  99th percentile", format.Count(c.Latency.Quantile(0.99))+" ns", "")
		row(b, "  maximum", format.Count(c.Latency.Max())+" ns", "")
	}
	row(b, "tokens pushed to watchers", format.Count(c.Pushed), "")
	if r.APICalls != nil {
		row(b, "tokens checked with the API", format.Count(c.Checked), "")
		row(b, "  rejected", format.Count(c.Rejected), "")
	}
}

func summarizeAPI(b *strings.Builder, r demo.Result) {
	if calls := r.APICalls; calls != nil {
		row(b, "API calls received", format.Count(calls.Creates+calls.Refreshes), fmt.Sprintf("%d create, %d refresh", calls.Creates, calls.Refreshes))
		row(b, "  answered with an error", format.Count(errorCount(calls.Statuses)), errorStatuses(calls.Statuses))
	} else {
		row(b, "API calls made", format.Count(r.Stats.Creates+r.Stats.Refreshes), fmt.Sprintf("%d create, %d refresh", r.Stats.Creates, r.Stats.Refreshes))
		row(b, "  failed", format.Count(r.Stats.CreateFailures+r.Stats.RefreshFailures), "")
	}
	row(b, "creates instead of refreshes", format.Count(r.Stats.Fallbacks), "")
	if r.APICalls != nil {
		row(b, "faults injected", format.Count(len(r.Faults)), "")
		for _, fault := range r.Faults {
			row(b, "  "+fault, "", "")
		}
	}
}

func row(b *strings.Builder, name, value, remark string) {
	text := fmt.Sprintf("  %-29s %15s   %s", name, value, remark)
	b.WriteString(strings.TrimRight(text, " ") + "\n")
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
