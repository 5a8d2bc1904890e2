package statuspage

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// selection finds the rooms of one page while a walk shows it all rooms. Of these it
// keeps IDs and keys, no statuses, and no more than twice as many as there are up to the
// end of the page.
type selection struct {
	selector
	matches func(roomID string) bool
	key     func(*roomtoken.RoomStatus, time.Time) key
	end     int // rooms up to the end of the page

	candidates []candidate // the first ones are sorted, and no room seen so far precedes them
	full       bool        // there are end of those

	// The result, which is not written once the walk is over.
	total    int // rooms in memory
	matching int // those of them that match the selector
	roomIDs  []string
}

// candidate is a room that may be on the page.
type candidate struct {
	key    key
	roomID string
}

func (c candidate) compare(other candidate) int {
	return cmp.Or(c.key.compare(other.key), strings.Compare(c.roomID, other.roomID))
}

func newSelection(s selector) *selection {
	return &selection{
		selector: s,
		matches:  matcher(s.contains),
		key:      orderOf(s.sort).key,
		end:      int(min(int64(s.page)*int64(s.per), math.MaxInt/2)),
	}
}

// add shows the selection a room.
func (s *selection) add(room *roomtoken.RoomStatus, now time.Time) {
	s.total++
	if !passes(s.state, room.State) || !s.matches(room.RoomID) {
		return
	}
	s.matching++
	c := candidate{s.key(room, now), room.RoomID}
	if s.full && c.compare(s.candidates[s.end-1]) > 0 {
		return
	}
	if n := len(s.candidates); n == cap(s.candidates) {
		s.candidates = slices.Grow(s.candidates, n+1) // doubled: append copies large slices more often
	}
	s.candidates = append(s.candidates, c)
	if len(s.candidates) == 2*s.end {
		s.cut()
	}
}

// cut sorts the candidates and drops those behind the end of the page.
func (s *selection) cut() {
	slices.SortFunc(s.candidates, candidate.compare)
	s.full = len(s.candidates) >= s.end
	s.candidates = s.candidates[:min(s.end, len(s.candidates))]
}

// finish makes the result. A page behind the last has no rooms.
func (s *selection) finish() {
	s.cut()
	for _, c := range s.candidates[min(s.end-s.per, len(s.candidates)):] {
		s.roomIDs = append(s.roomIDs, c.roomID)
	}
	s.candidates = nil
}
