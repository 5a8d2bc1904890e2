package statuspage

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// selectFrom returns what a selection finds among rooms.
func selectFrom(wanted selector, rooms []roomtoken.RoomStatus) *selection {
	s := newSelection(wanted)
	for i := range rooms {
		s.add(&rooms[i], noon)
	}
	s.finish()
	return s
}

// Each order, with ties by ID.
func TestOrders(t *testing.T) {
	const (
		empty    = roomtoken.RoomEmpty
		valid    = roomtoken.RoomValid
		retrying = roomtoken.RoomRetrying
		idle     = roomtoken.RoomIdle
		failing  = roomtoken.RoomFailing
		failed   = roomtoken.RoomFailed
		stuck    = roomtoken.RoomStuck
	)
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	room := func(id string, state roomtoken.RoomState, expires, next, used time.Time, failures int) roomtoken.RoomStatus {
		return roomtoken.RoomStatus{RoomID: id, State: state, ExpiresAt: expires, NextCallAt: next, LastUsed: used, Failures: failures}
	}
	never := time.Time{}
	far := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	rooms := []roomtoken.RoomStatus{
		room("i", idle, at(time.Minute), never, at(-time.Hour), 0),
		room("v2", valid, at(2*time.Minute), at(time.Minute), at(-time.Second), 0),
		room("v1", valid, at(2*time.Minute), at(time.Minute), at(-time.Second), 0),
		room("v0", valid, at(time.Minute), at(30*time.Second), at(-2*time.Second), 0),
		room("v9", valid, far, far, at(0), 0),
		room("e", empty, never, never, at(-time.Minute), 0),
		room("r", retrying, at(10*time.Second), at(-time.Second), at(-3*time.Second), 3),
		room("f2", failing, at(-time.Minute), at(time.Second), at(-4*time.Second), 12),
		room("f1", failing, never, at(2*time.Second), at(-4*time.Second), 12),
		room("d", failed, never, at(5*time.Minute), at(-5*time.Second), 1),
		room("s", stuck, at(-time.Hour), never, at(-6*time.Second), 2),
	}
	for sort, want := range map[string]string{
		"worst":    "s d f1 f2 r e v0 v1 v2 v9 i",
		"room":     "d e f1 f2 i r s v0 v1 v2 v9",
		"left":     "d e f1 f2 s r i v0 v1 v2 v9",
		"next":     "r f2 f1 v0 v1 v2 d v9 e i s",
		"failures": "f1 f2 r s d e i v0 v1 v2 v9",
		"used":     "v9 v1 v2 v0 r f1 f2 d s e i",
	} {
		for range 10 {
			rand.Shuffle(len(rooms), func(i, j int) { rooms[i], rooms[j] = rooms[j], rooms[i] })
			found := selectFrom(selector{sort: sort, page: 1, per: 100}, rooms)
			if got := strings.Join(found.roomIDs, " "); got != want {
				t.Errorf("%s: %s\nwant %s", sort, got, want)
			}
			found = selectFrom(selector{sort: sort, page: 2, per: 4}, rooms)
			if got, want := strings.Join(found.roomIDs, " "), strings.Join(strings.Fields(want)[4:8], " "); got != want {
				t.Errorf("%s, page 2: %s\nwant %s", sort, got, want)
			}
		}
	}
	for state, want := range map[string]string{
		"": "s d f1 f2 r e v0 v1 v2 v9 i", "trouble": "s d f1 f2 r", "stuck": "s", "failed": "d", "failing": "f1 f2", "retrying": "r",
		"empty": "e", "valid": "v0 v1 v2 v9", "idle": "i",
	} {
		found := selectFrom(selector{state: state, sort: "worst", page: 1, per: 100}, rooms)
		if got := strings.Join(found.roomIDs, " "); got != want || found.matching != len(found.roomIDs) || found.total != len(rooms) {
			t.Errorf("state %q: %s, %d of %d; want %s", state, got, found.matching, found.total, want)
		}
	}
}

// Every state can be sorted and filtered by, and they are named in one order.
func TestStatesAreComplete(t *testing.T) {
	if len(severity) != len(states)+1 {
		t.Fatalf("%d states, %d severities", len(states), len(severity)-1)
	}
	var names []string
	for i, state := range states {
		names = append(names, state.String())
		if severity[state] != i+1 {
			t.Errorf("severity of %v is %d, want %d", state, severity[state], i+1)
		}
	}
	if got := strings.Join(names, " "); got != "stuck failed failing retrying empty valid idle" {
		t.Errorf("states from the worst on: %s", got)
	}
}

func TestMatcher(t *testing.T) {
	for _, test := range []struct {
		part, id string
		want     bool
	}{
		{"", "anything", true},
		{"", "\xff", true},
		{"bc", "abcd", true},
		{"BC", "abcd", true},
		{"bc", "ABCD", true},
		{"É", "caf\u00e9s", true},
		{"bd", "abcd", false},
		{"abcde", "abcd", false},
		{"\n", "a\nb", true},
		{`\n`, "a\nb", true}, // as the page shows it
		{`A\U202EB`, "a\u202eb", true},
		{`\n`, `a\nb`, true},
		{`\x00`, "a", false},
		{"\xff", "a\xffb", true},
		{`\xff`, "a\xffb", true},
	} {
		if got := matcher(test.part)(test.id); got != test.want {
			t.Errorf("matcher(%q)(%q) = %v, want %v", test.part, test.id, got, test.want)
		}
	}
}

// Any page of any rooms is the same as that of all of them, sorted; and no more than
// twice the rooms up to its end are kept.
func TestSelectionIsAPageOfAllRooms(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for round := range 300 {
		rooms := make([]roomtoken.RoomStatus, rng.IntN(400))
		for i := range rooms {
			rooms[i] = roomtoken.RoomStatus{
				RoomID:     fmt.Sprintf("%03x-%d", rng.IntN(4096), i),
				State:      states[rng.IntN(len(states))],
				ExpiresAt:  noon.Add(time.Duration(rng.IntN(7)-1) * time.Second),
				NextCallAt: noon.Add(time.Duration(rng.IntN(5)) * time.Second),
				Failures:   rng.IntN(3),
				LastUsed:   noon.Add(-time.Duration(rng.IntN(9)) * time.Second),
			}
		}
		wanted := selector{
			contains: []string{"", "", "a", "0"}[rng.IntN(4)], state: append([]string{"", ""}, filters...)[rng.IntN(2+len(filters))],
			sort: orderNames[rng.IntN(len(orderNames))], page: 1 + rng.IntN(5), per: 1 + rng.IntN(60),
		}
		s := newSelection(wanted)
		for i := range rooms {
			s.add(&rooms[i], noon)
			if len(s.candidates) > 2*wanted.page*wanted.per {
				t.Fatalf("round %d: %d candidates for page %d of %d", round, len(s.candidates), wanted.page, wanted.per)
			}
		}
		s.finish()

		matching := slices.DeleteFunc(slices.Clone(rooms), func(r roomtoken.RoomStatus) bool {
			return !strings.Contains(r.RoomID, wanted.contains) || !passes(wanted.state, r.State)
		})
		order := orderOf(wanted.sort)
		slices.SortFunc(matching, func(a, b roomtoken.RoomStatus) int {
			return cmp.Or(order.key(&a, noon).compare(order.key(&b, noon)), strings.Compare(a.RoomID, b.RoomID))
		})
		var want []string
		for i := (wanted.page - 1) * wanted.per; i < min(wanted.page*wanted.per, len(matching)); i++ {
			want = append(want, matching[i].RoomID)
		}
		if !slices.Equal(s.roomIDs, want) || s.matching != len(matching) || s.total != len(rooms) {
			t.Fatalf("round %d, %+v: %v, %d of %d\nwant %v, %d of %d", round, wanted, s.roomIDs, s.matching, s.total, want, len(matching), len(rooms))
		}
	}
}

// The farthest page overflows nothing.
func TestFarthestPage(t *testing.T) {
	rooms := make([]roomtoken.RoomStatus, 3)
	found := selectFrom(selector{sort: "worst", page: maxPage, per: maxPer}, rooms)
	if len(found.roomIDs) != 0 || found.matching != 3 {
		t.Errorf("%v, %d matching", found.roomIDs, found.matching)
	}
}
