package demo

import (
	"cmp"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// Result is the outcome of a run.
type Result struct {
	API            string // which API the run used
	Took           time.Duration
	Rooms          int
	CallersPerRoom int
	Counts         Counts
	Stats          roomtoken.Stats
	RoomError      error             // the last error of some room
	APICalls       *telnyxtest.Calls // counted by the embedded API; nil on Telnyx
	Faults         []string          // injected into the embedded API
}

// finish keeps what the Manager no longer knows after Close.
func (d *Demo) finish(manager *roomtoken.Manager) {
	d.took, d.stats = d.Clock.Since(d.started), manager.Stats()
	for status := range manager.Rooms() {
		d.roomError = cmp.Or(status.LastError, d.roomError)
	}
}

// Result returns the outcome. Call it after Run.
func (d *Demo) Result() Result {
	r := Result{
		API: d.apiName, Took: d.took, Rooms: len(d.rooms), CallersPerRoom: callersPerRoom,
		Stats: d.stats, RoomError: d.roomError,
	}
	r.Counts, r.Faults = d.counter.read()
	if d.API != nil {
		calls := d.API.Calls()
		r.APICalls = &calls
	}
	return r
}

// Failed reports whether a caller saw an error or a token that the API rejects,
// or nobody ever got a token.
func (r Result) Failed() bool {
	return r.Counts.Failed > 0 || r.Counts.Rejected > 0 || r.Counts.Succeeded == 0 && r.Stats.CreateFailures > 0
}
