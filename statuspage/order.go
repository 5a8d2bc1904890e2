package statuspage

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// An order is a way to sort rooms: those with the smaller key come first, those with equal
// keys in the order of their IDs.
type order struct {
	name  string // of the parameter
	label string // for people
	key   func(room *roomtoken.RoomStatus, now time.Time) key
}

// A key is compared by its rank first.
type key struct {
	rank  int
	value int64
}

func (k key) compare(other key) int {
	return cmp.Or(cmp.Compare(k.rank, other.rank), cmp.Compare(k.value, other.value))
}

// orders are the ways to sort. The first one is the default.
var orders = []order{
	{"worst", "worst first", func(room *roomtoken.RoomStatus, now time.Time) key {
		return key{severity[room.State], int64(left(room, now))}
	}},
	{"room", "by room ID", func(*roomtoken.RoomStatus, time.Time) key { return key{} }},
	{"left", "least time left first", func(room *roomtoken.RoomStatus, now time.Time) key {
		return key{0, int64(left(room, now))}
	}},
	{"next", "next call first", func(room *roomtoken.RoomStatus, now time.Time) key {
		if room.NextCallAt.IsZero() { // none is planned, or it is in flight
			return key{1, 0}
		}
		return key{0, int64(room.NextCallAt.Sub(now))}
	}},
	{"failures", "most failures first", func(room *roomtoken.RoomStatus, _ time.Time) key {
		return key{0, -int64(room.Failures)}
	}},
	{"used", "last used first", func(room *roomtoken.RoomStatus, now time.Time) key {
		return key{0, int64(now.Sub(room.LastUsed))}
	}},
}

var orderNames = func() (names []string) {
	for _, o := range orders {
		names = append(names, o.name)
	}
	return names
}()

// orderOf returns the order with that name.
func orderOf(name string) order {
	return orders[slices.Index(orderNames, name)]
}

// severity ranks the states from the worst to the best.
var severity = [roomtoken.RoomStuck + 1]int{
	roomtoken.RoomStuck:    1,
	roomtoken.RoomFailed:   2,
	roomtoken.RoomFailing:  3,
	roomtoken.RoomRetrying: 4,
	roomtoken.RoomEmpty:    5,
	roomtoken.RoomValid:    6,
	roomtoken.RoomIdle:     7,
}

// states are all states, the worst first.
var states = func() (all []roomtoken.RoomState) {
	for state := roomtoken.RoomEmpty; state <= roomtoken.RoomStuck; state++ {
		all = append(all, state)
	}
	slices.SortFunc(all, func(a, b roomtoken.RoomState) int { return cmp.Compare(severity[a], severity[b]) })
	return all
}()

// inTrouble reports whether something is wrong with rooms in that state.
func inTrouble(state roomtoken.RoomState) bool {
	return severity[state] <= severity[roomtoken.RoomRetrying]
}

// troubles are the states of rooms in trouble, the worst first.
var troubles = slices.DeleteFunc(slices.Clone(states), func(s roomtoken.RoomState) bool { return !inTrouble(s) })

// trouble is the filter that all rooms inTrouble pass.
const trouble = "trouble"

// filters are the values of the parameter state.
var filters = func() []string {
	names := []string{trouble}
	for _, state := range states {
		names = append(names, state.String())
	}
	return names
}()

// passes reports whether a room in that state passes a filter; "" lets all pass.
func passes(filter string, state roomtoken.RoomState) bool {
	switch filter {
	case "":
		return true
	case trouble:
		return inTrouble(state)
	default:
		return filter == state.String()
	}
}

// matcher returns whether a room ID has a part, in any case. The part may also be as the
// page shows it, with escapes.
func matcher(part string) func(roomID string) bool {
	part = strings.ToLower(part)
	contains := func(text string) bool { return strings.Contains(strings.ToLower(text), part) }
	switch {
	case part == "":
		return func(string) bool { return true }
	case strings.Contains(part, `\`):
		return func(id string) bool { return contains(id) || contains(printable(id)) }
	default:
		return contains
	}
}

// left returns how long the room's token still lives, 0 if it has none. now has no
// monotonic reading: what is compared are the times that are shown.
func left(room *roomtoken.RoomStatus, now time.Time) time.Duration {
	return max(room.ExpiresAt.Sub(now), 0)
}
