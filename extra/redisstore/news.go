package redisstore

import (
	"context"
	"math"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Hold implements [roomtoken.Store]. It takes one round trip.
func (s *Store) Hold(ctx context.Context, wait time.Duration, failure roomtoken.Failure) error {
	args := append([]any{micros(wait)}, failureArgs(failure)...)
	_, err := s.run(ctx, holdScript, s.news(), args...)
	return err
}

// News implements [roomtoken.Store]. It takes one round trip. The last 10,000 rejections are
// kept, each for at least ten minutes.
func (s *Store) News(ctx context.Context, since string) (roomtoken.News, error) {
	a, err := s.run(ctx, readScript, s.news(), since)
	if err != nil {
		return roomtoken.News{}, err
	}
	now := a.time()
	n := roomtoken.News{Cursor: a.text(), Missed: a.bool()}
	n.Hold = roomtoken.Hold{ID: a.text(), Wait: a.duration(), Left: a.duration(), Over: a.bool(), Failure: a.failure()}
	for log := a.list(); len(log.rest) > 0; {
		if r, ok := log.rejection(now); ok {
			n.Rejections = append(n.Rejections, r)
		}
	}
	if err := a.err(); err != nil {
		return roomtoken.News{}, err
	}
	return n, nil
}

// rejection takes an entry of the log: its ID, and the list of its fields. It returns false
// if the token has ended, or if the entry is no rejection.
func (a *answer) rejection(now roomtoken.StoreTime) (roomtoken.Rejection, bool) {
	entry := a.list()
	entry.text()
	fields := entry.list()
	fields.text()
	r := roomtoken.Rejection{RoomID: fields.text()}
	fields.text()
	r.Token = fields.digest()
	fields.text()
	r.Left = fields.time().Sub(now)
	fields.text()
	r.Refusals = int(fields.number(math.MaxInt32))
	return r, !entry.failed && !fields.failed && r.Left > 0
}
