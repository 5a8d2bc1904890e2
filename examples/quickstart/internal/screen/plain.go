package screen

import (
	"fmt"
	"io"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/format"
)

// statusInterval is how often plain writes a status line.
const statusInterval = 5 * time.Second

// plain writes a line for each log entry, and a status line from time to time.
type plain struct {
	out     io.Writer
	started bool
	entries int           // written so far
	status  time.Duration // when the last status line was due
}

// NewPlain returns a view that writes lines, for pipes and log files.
func NewPlain(out io.Writer) demo.View { return &plain{out: out} }

func (v *plain) Draw(s demo.Snapshot) {
	if !v.started {
		v.started = true
		fmt.Fprintf(v.out, "roomtoken quickstart, %s, %s\n", s.API, format.Rooms(len(s.Rooms)))
	}
	fresh := min(s.Total-v.entries, len(s.Entries))
	for _, e := range s.Entries[len(s.Entries)-fresh:] {
		fmt.Fprintln(v.out, entryLine(e, s.Time.Add(-s.Elapsed)))
	}
	v.entries = s.Total
	if s.Elapsed >= v.status+statusInterval {
		v.status = s.Elapsed.Truncate(statusInterval)
		fmt.Fprintln(v.out, statusLine(s))
	}
}

func (*plain) Close() {}

func statusLine(s demo.Snapshot) string {
	valid := 0
	for _, r := range s.Rooms {
		switch r.Status.State {
		case roomtoken.RoomValid, roomtoken.RoomRetrying, roomtoken.RoomIdle:
			valid++
		}
	}
	return fmt.Sprintf("%5.1f s  status    %d of %d rooms have a token; callers: %s tokens, %s after a wait, %s errors; %s API calls",
		s.Elapsed.Seconds(), valid, len(s.Rooms), format.Count(s.Counts.Succeeded), format.Count(s.Counts.Waited(s.Stats)),
		format.Count(s.Counts.Failed), format.Count(s.Stats.Creates+s.Stats.Refreshes))
}
