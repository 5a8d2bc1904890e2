package statuspage

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"time"
)

// text returns the page as plain text: a line per number and room, whatever their names
// hold. What somebody else may have chosen stands last in its line.
func (v *view) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s UTC  %s\n\n", v.now.Format(time.DateTime), printable(v.title))
	for _, n := range v.notes() {
		fmt.Fprintf(&b, "%-4s  %s\n", n.Level, n.Text)
	}
	gauges, counters := v.totals()
	b.WriteByte('\n')
	for _, state := range states {
		writeTotal(&b, total{Label: "Rooms " + state.String(), Value: count(v.stats.States[state])})
	}
	for _, t := range gauges {
		writeTotal(&b, t)
	}
	b.WriteString("\nSince the start\n")
	for _, t := range counters {
		writeTotal(&b, t)
	}
	fmt.Fprintf(&b, "\n%s\n", v.period())
	for _, c := range v.charts() {
		fmt.Fprintf(&b, "%-28s%s\n", c.Title, c.Summary)
	}
	fmt.Fprintf(&b, "\n%s; page %s of %s\n", v.caption(), count(v.query.page), count(max(v.pages(), 1)))
	const columns = "%-8s  %-12s  %-22s  %-24s  %-14s  %-22s  %s\n"
	fmt.Fprintf(&b, columns, "STATE", "TIME LEFT", "NEXT CALL", "FAILURES", "LAST USED", "WAITING", "ROOM, TOKEN AND LAST ERROR")
	for _, r := range v.rows() {
		last := r.RoomID
		if r.Token != "" {
			last += "  token " + r.Token
		}
		if r.Error != "" {
			last += "  " + r.Error
		}
		fmt.Fprintf(&b, columns, r.State, cmp.Or(r.Left, "-"), cmp.Or(r.Next, "-"), cmp.Or(strings.TrimSpace(r.Failures+" "+r.Since), "-"), r.Used, cmp.Or(r.Waiting, "-"), last)
	}
	return b.Bytes()
}

func writeTotal(b *bytes.Buffer, t total) {
	fmt.Fprintf(b, "%-28s%12s", t.Label, t.Value)
	if t.More != "" {
		fmt.Fprintf(b, "  %s", t.More)
	}
	b.WriteByte('\n')
}
