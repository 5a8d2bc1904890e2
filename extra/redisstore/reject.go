package redisstore

import (
	"context"

	"github.com/roomtoken/roomtoken"
)

// Reject implements [roomtoken.Store]. It takes two round trips, since the room and the news
// may be on different nodes of a cluster. The room is first: who reads the news and asks for
// the room does not find the token any more. If only the first one succeeds, there is an
// error, and Reject may be repeated.
func (s *Store) Reject(ctx context.Context, rejection roomtoken.Rejection) error {
	digest := string(rejection.Token[:])
	left, refusals := micros(rejection.Left), max(rejection.Refusals, 0)
	if _, err := s.run(ctx, rejectScript, s.room(rejection.RoomID), s.names, digest, left, refusals); err != nil {
		return err
	}
	_, err := s.run(ctx, reportScript, s.news(), rejection.RoomID, digest, left, refusals)
	return err
}
