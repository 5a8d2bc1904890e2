package redisstore

import (
	"context"

	"github.com/roomtoken/roomtoken"
)

// Commit implements [roomtoken.Store]. It takes one round trip, and may be repeated.
func (s *Store) Commit(ctx context.Context, lease roomtoken.Lease, result roomtoken.Result) (roomtoken.Committed, error) {
	what := "nothing"
	var record stored
	switch {
	case !result.Record.IsZero():
		var err error
		if record, err = s.seal(lease.RoomID, result.Record); err != nil {
			return roomtoken.Committed{}, err
		}
		what = "record"
	case result.Failure.Kind != 0:
		what = "failure"
	}
	args := []any{s.names, lease.ID, lease.Version, what, s.boxes(), lease.RoomID, micros(result.NotBefore)}
	args = append(append(args, failureArgs(result.Failure)...), string(record))
	a, err := s.run(ctx, commitScript, s.room(lease.RoomID), args...)
	if err != nil {
		return roomtoken.Committed{}, err
	}
	committed := roomtoken.Committed{Now: a.time()}
	switch a.text() {
	case "taken":
		committed.Taken = true
	case "refused":
		if newer := a.stored(); newer != "" {
			committed.Newer, _ = s.open(lease.RoomID, newer) // absent if it cannot be read
		}
	default:
		a.failed = true
	}
	if err := a.err(); err != nil {
		return roomtoken.Committed{}, err
	}
	return committed, nil
}
