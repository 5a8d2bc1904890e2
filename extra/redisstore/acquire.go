package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/storeseal"
)

// Acquire implements [roomtoken.Store]. It takes one round trip, and one more if it finds a
// damaged record.
func (s *Store) Acquire(ctx context.Context, ask roomtoken.Ask) (roomtoken.Entry, error) {
	entry, unreadable, err := s.acquire(ctx, ask, 0)
	if err != nil || unreadable == 0 {
		return entry, err
	}
	reason := entry.Unreadable
	entry, _, err = s.acquire(ctx, ask, unreadable)
	if entry.Unreadable == nil && err == nil {
		entry.Unreadable = reason
	}
	return entry, err
}

// acquire runs the script. If the newest record has the version that is unreadable, it
// counts as absent. If the answer is a record that cannot be read, acquire returns its version.
func (s *Store) acquire(ctx context.Context, ask roomtoken.Ask, unreadable uint64) (roomtoken.Entry, uint64, error) {
	var inbox, refused string
	if ask.Wait {
		inbox = s.inbox.heard()
	}
	if digest := ask.Refused.Token; !digest.IsZero() {
		refused = string(digest[:])
	}
	a, err := s.run(ctx, acquireScript, s.room(ask.RoomID),
		s.names, ask.ID, ask.Newer, micros(ask.TTL), flag(ask.Look || ask.TTL <= 0), flag(ask.Fresh), inbox, unreadable,
		refused, micros(ask.Refused.Left), max(ask.Refused.Refusals, 0))
	if redis.HasErrorPrefix(err, "READONLY") {
		return readOnly(err), 0, nil
	}
	if err != nil {
		return roomtoken.Entry{}, 0, err
	}
	entry := roomtoken.Entry{Now: a.time()}
	if foreign := a.bool(); foreign {
		entry.Unreadable = storeseal.ErrNoKey
	}
	var version uint64
	switch kind := a.text(); kind {
	case "record":
		found := a.stored()
		if entry.Record, entry.Unreadable = s.open(ask.RoomID, found); entry.Unreadable != nil {
			version = found.version()
		}
	case "busy":
		entry.Busy = a.duration()
	case "failure":
		entry.NotBefore, entry.Failure = a.duration(), a.failure()
	case "lease":
		entry.Lease = roomtoken.Lease{RoomID: ask.RoomID, ID: ask.ID, Granted: a.time(), Version: a.number(maxNumber)}
		entry.Refusals, entry.Failure = a.count(), a.failure()
	case "degraded":
		entry.Degraded = errors.New("redisstore: " + a.text())
	case "none":
	default:
		a.failed = true
	}
	if err := a.err(); err != nil {
		return roomtoken.Entry{}, 0, err
	}
	return entry, version, nil
}

// readOnly returns the answer of a server that takes no writes, from its error: "READONLY",
// the server's time if the script could say it, and a text.
func readOnly(err error) roomtoken.Entry {
	var reply redis.Error
	errors.As(err, &reply)
	_, text, _ := strings.Cut(reply.Error(), " ")
	now, why, _ := strings.Cut(text, " ")
	at, problem := strconv.ParseUint(now, 10, 53)
	if problem != nil {
		why = text
	}
	return roomtoken.Entry{Now: roomtoken.StoreTime(at), Degraded: fmt.Errorf("redisstore: READONLY %s", why)}
}
