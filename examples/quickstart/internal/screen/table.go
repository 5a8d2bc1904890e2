package screen

import (
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/format"
)

const (
	tableHead  = "room     state    time left      next call      token calls fails fallback waits"
	narrowHead = "room     state      left next call"
)

func head(wide bool) string {
	if wide {
		return tableHead
	}
	return narrowHead
}

// table returns a row for each of the first n rooms.
func table(s demo.Snapshot, n int, wide bool, g glyphs) []line {
	lines := make([]line, 0, n)
	for _, r := range s.Rooms[:n] {
		lines = append(lines, tableRow(r, s, wide, g))
	}
	if hidden := len(s.Rooms) - n; hidden > 0 {
		lines[n-1] = line{{fmt.Sprintf("and %d more rooms", hidden+1), dim}}
	}
	return lines
}

func tableRow(r demo.Room, s demo.Snapshot, wide bool, g glyphs) line {
	state, stateColor := "-", dim
	if r.Cached {
		state, stateColor = r.Status.State.String(), colorOf(stateLevel(r.Status.State))
	}
	left, fraction := "-", 0.0
	if !r.Status.ExpiresAt.IsZero() {
		d := r.Events.Expires.Sub(s.Time) // ExpiresAt is on a clock that may be set
		left = format.Seconds(d)
		fraction = float64(d) / float64(max(r.Events.Lifetime, 1))
	}
	leftLevel := demo.Good
	switch {
	case fraction < 0.1:
		leftLevel = demo.Bad
	case fraction < 1.0/3: // the renewal is due
		leftLevel = demo.Warning
	}
	row := line{{fmt.Sprintf("%-8s ", format.ShortID(r.ID)), noColor}, {fmt.Sprintf("%-8s ", state), stateColor}}
	next := nextCall(r, s.Wall)
	if !wide {
		if n := r.Status.Waiters; n > 0 {
			return append(row, span{fmt.Sprintf("%6s ", left), colorOf(leftLevel)}, span{format.Callers(n) + " wait", colorOf(demo.Warning)})
		}
		return append(row, span{fmt.Sprintf("%6s ", left), colorOf(leftLevel)}, span{next, noColor})
	}
	waits := span{fmt.Sprintf(" %5d", r.Waits), noColor}
	if n := r.Status.Waiters; n > 0 {
		waits = span{fmt.Sprintf(" %1d now", n), colorOf(demo.Warning)}
	}
	return append(row,
		span{bar(7, fraction, g), colorOf(leftLevel)},
		span{fmt.Sprintf(" %6s %-14s ", left, next), noColor},
		span{fmt.Sprintf("%5d %5d %5d %8d", r.Status.Generation, r.Events.Calls, r.Events.Failed, r.Events.Fallbacks), noColor},
		waits)
}

func stateLevel(s roomtoken.RoomState) demo.Level {
	switch s {
	case roomtoken.RoomValid, roomtoken.RoomIdle:
		return demo.Good
	case roomtoken.RoomRetrying:
		return demo.Warning
	case roomtoken.RoomEmpty:
		return demo.Info
	default:
		return demo.Bad
	}
}

// nextCall returns the room's next API call, and how long until it begins.
func nextCall(r demo.Room, now time.Time) string {
	wait := r.Status.NextCallAt.Sub(now)
	switch {
	case !r.Cached && r.OpensIn > 0:
		return "opens " + format.Seconds(r.OpensIn)
	case r.Status.InFlight != 0:
		return r.Status.InFlight.String() + " runs"
	case r.Status.NextCall == 0:
		return "-"
	case wait <= 0:
		return r.Status.NextCall.String() + " now"
	default:
		return r.Status.NextCall.String() + " " + format.Seconds(wait)
	}
}
