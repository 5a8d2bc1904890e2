package redisstore

import (
	"context"

	"github.com/roomtoken/roomtoken"
)

// Load implements [roomtoken.Store]. It takes one round trip to each node of the cluster
// that has some of the rooms.
func (s *Store) Load(ctx context.Context, roomIDs []string) ([]roomtoken.Entry, error) {
	if len(roomIDs) == 0 {
		return nil, nil
	}
	keys := make([]string, len(roomIDs))
	for i, id := range roomIDs {
		keys[i] = s.room(id)[0]
	}
	answers, err := s.runMany(ctx, loadScript, keys, s.names)
	if err != nil {
		return nil, err
	}
	entries := make([]roomtoken.Entry, len(roomIDs))
	for i, a := range answers {
		if entries[i], err = s.loaded(roomIDs[i], a); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// loaded returns the answer of the script for one room.
func (s *Store) loaded(roomID string, a *answer) (roomtoken.Entry, error) {
	entry := roomtoken.Entry{Now: a.time()}
	notBefore, failure, stored := a.duration(), a.failure(), a.stored()
	if err := a.err(); err != nil {
		return roomtoken.Entry{}, err
	}
	if stored != "" {
		entry.Record, entry.Unreadable = s.open(roomID, stored)
	}
	if entry.Record.IsZero() && notBefore > 0 {
		entry.NotBefore, entry.Failure = notBefore, failure
	}
	return entry, nil
}
