package roomtokentest

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// lineage identifies a refresh token from a Create, and the tokens that have replaced it
// one after the other.
type lineage struct {
	room   string
	serial int // of the grant
}

// newest is the token of a lineage that is accepted: the only one.
type newest struct {
	rotation  int // how many tokens it has replaced
	expiresAt time.Time
}

// refreshTokenValue returns values such as "refresh token 7 of lobby" or, after two
// rotations, "refresh token 7.2 of lobby".
func refreshTokenValue(l lineage, rotation int) roomtoken.Secret {
	number := strconv.Itoa(l.serial)
	if rotation > 0 {
		number += "." + strconv.Itoa(rotation)
	}
	return roomtoken.NewSecret(fmt.Sprintf("refresh token %s of %s", number, l.room))
}

// parseRefreshToken is the inverse of refreshTokenValue. It reports whether the token is
// a refresh token for the room.
func parseRefreshToken(token roomtoken.Token, room string) (l lineage, rotation int, ok bool) {
	number, isRefresh := strings.CutPrefix(token.Value.Reveal(), "refresh token ")
	number, isForRoom := strings.CutSuffix(number, " of "+room)
	create, suffix, rotated := strings.Cut(number, ".")
	serial, err := strconv.Atoi(create)
	if rotated && err == nil {
		rotation, err = strconv.Atoi(suffix)
	}
	return lineage{room, serial}, rotation, isRefresh && isForRoom && err == nil
}

// rotate replaces a refresh token, unless it has been replaced before. It remembers that
// until expiresAt, when neither it nor the new one is good any more. Several calls with one
// token cannot all succeed.
func (s *Source) rotate(l lineage, rotation int, now, expiresAt time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest[l].rotation != rotation {
		return false
	}
	if len(s.newest) >= s.sweepAt { // drop lineages that have expired, so that memory stays bounded
		maps.DeleteFunc(s.newest, func(_ lineage, n newest) bool { return !now.Before(n.expiresAt) })
		s.sweepAt = max(2*len(s.newest), 64)
	}
	if s.newest == nil {
		s.newest = make(map[lineage]newest)
	}
	s.newest[l] = newest{rotation + 1, expiresAt}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
