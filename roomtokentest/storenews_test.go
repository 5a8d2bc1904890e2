package roomtokentest

import (
	"fmt"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func reject(t *testing.T, s *Store, value string) {
	t.Helper()
	rejection := roomtoken.Rejection{RoomID: "room of " + value, Token: roomtoken.NewSecret(value).Digest(), Left: time.Minute}
	if err := s.Reject(t.Context(), rejection); err != nil {
		t.Fatal(err)
	}
}

func news(t *testing.T, s *Store, since string) roomtoken.News {
	t.Helper()
	news, err := s.News(t.Context(), since)
	if err != nil {
		t.Fatal(err)
	}
	return news
}

// The news forgets rejections that are too many or too old, and says so to whoever has not
// seen them.
func TestStoreNewsForgets(t *testing.T) {
	mock := newMock()
	s := &Store{Clock: mock, NewsLimit: 3}
	begin := news(t, s, "").Cursor
	for i := range 3 {
		reject(t, s, fmt.Sprint(i))
	}
	if n := news(t, s, begin); n.Missed || len(n.Rejections) != 3 {
		t.Errorf("3 rejections: %+v", n)
	}
	third := news(t, s, "").Cursor
	reject(t, s, "3")
	if n := news(t, s, begin); !n.Missed || len(n.Rejections) != 3 {
		t.Errorf("4 rejections, seen by one who knows of none: %+v, want the newest 3, some missed", n)
	}
	if n := news(t, s, third); n.Missed || len(n.Rejections) != 1 {
		t.Errorf("4 rejections, seen by one who knows of 3: %+v, want one, none missed", n)
	}
	if n := news(t, s, ""); !n.Missed || len(n.Rejections) != 3 {
		t.Errorf("4 rejections in a minute, seen by a new process: %+v, want the newest 3, some missed", n)
	}

	mock.Add(40 * time.Second)
	if left := news(t, s, "").Rejections[0].Left; left != 20*time.Second {
		t.Errorf("after 40 s, left is %v, want 20s", left)
	}
	mock.Add(20 * time.Second)
	if n := news(t, s, ""); n.Missed || len(n.Rejections) != 3 || n.Rejections[0].Left != 0 {
		t.Errorf("a minute later: %+v, want 3 rejections of which nothing is left, and none missed", n)
	}
	mock.Add(newsAge)
	if n := news(t, s, ""); n.Missed || len(n.Rejections) != 0 {
		t.Errorf("much later: %+v, want nothing", n)
	}
	if n := news(t, s, third); !n.Missed {
		t.Errorf("much later, seen by one who knows of 3: %+v, want some missed", n)
	}
}

func TestStoreNewsLimit(t *testing.T) {
	s := &Store{Clock: newMock()}
	begin := news(t, s, "").Cursor
	for i := range DefaultNewsLimit {
		reject(t, s, fmt.Sprint(i))
	}
	if n := news(t, s, begin); n.Missed || len(n.Rejections) != DefaultNewsLimit {
		t.Errorf("%d rejections, missed %v", len(n.Rejections), n.Missed)
	}
	reject(t, s, "more")
	if n := news(t, s, begin); !n.Missed || len(n.Rejections) != DefaultNewsLimit {
		t.Errorf("%d rejections, missed %v", len(n.Rejections), n.Missed)
	}
}

// A rejection of an old token, while there is a record, says nothing about tokens in a row.
func TestStoreRefusals(t *testing.T) {
	s := &Store{Clock: newMock()}
	record := fill(t, s, "new")
	old := roomtoken.Rejection{RoomID: "lobby", Token: roomtoken.NewSecret("old").Digest(), Left: time.Hour, Refusals: 9}
	refused := roomtoken.Rejection{RoomID: "lobby", Token: record.Token.Digest(), Left: time.Hour, Refusals: 2}
	s.Reject(t.Context(), old)
	s.Reject(t.Context(), refused)
	if entry := acquire(t, s, "a"); entry.Refusals != 2 {
		t.Errorf("got %d refusals, want 2", entry.Refusals)
	}
}

// A hold is kept for a while after its end, so that all learn whether it is over.
func TestStoreHoldEnds(t *testing.T) {
	mock := newMock()
	s := &Store{Clock: mock}
	s.Hold(t.Context(), time.Minute, roomtoken.Failure{Kind: roomtoken.FailureRateLimited})
	mock.Add(time.Minute)
	if hold := news(t, s, "").Hold; hold.ID == "" || hold.Left != 0 || hold.Over {
		t.Errorf("after its end the hold is %+v", hold)
	}
	mock.Add(maxWait)
	if hold := news(t, s, "").Hold; hold != (roomtoken.Hold{}) {
		t.Errorf("a day later the hold is %+v, want none", hold)
	}
}
