package telnyxtest

import (
	"strings"
	"sync"
)

// rooms knows which rooms exist.
type rooms struct {
	mu      sync.Mutex
	listed  map[string]bool // by ID in lower case; nil: every UUID
	removed map[string]bool // by ID in lower case
}

func newRooms(ids []string) *rooms {
	r := &rooms{removed: make(map[string]bool)}
	if ids != nil {
		r.listed = make(map[string]bool, len(ids))
		for _, id := range lower(ids) {
			r.listed[id] = true
		}
	}
	return r
}

// exists reports whether there is a room with the ID, which is in lower case.
func (r *rooms) exists(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return isUUID(id) && (r.listed == nil || r.listed[id]) && !r.removed[id]
}

func (r *rooms) remove(ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range lower(ids) {
		r.removed[id] = true
	}
}

// RemoveRooms removes the rooms with the given IDs, in either case, for good, as if they
// had been deleted: each call for one of them gets a 404, and Verify returns [ErrRevoked]
// for its tokens. Calls that have been handled keep their responses. A room need not be
// in [Config].Rooms.
func (s *Server) RemoveRooms(ids ...string) { s.rooms.remove(ids) }

// lower returns the IDs in lower case.
func lower(ids []string) []string {
	lowered := make([]string, len(ids))
	for i, id := range ids {
		lowered[i] = strings.ToLower(id)
	}
	return lowered
}

// isUUID reports whether s has the form of a UUID in lower case.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
				return false
			}
		}
	}
	return true
}
