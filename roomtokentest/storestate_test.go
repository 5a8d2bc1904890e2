package roomtokentest

import (
	"errors"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestStoreDegrade(t *testing.T) {
	s := &Store{Clock: newMock()}
	record := fill(t, s, "token")
	s.Degrade(errDown)
	if entry := acquire(t, s, "a"); !entry.Record.Token.Equal(record.Token) {
		t.Errorf("degraded: got %+v, want the record", entry)
	}
	ask := roomtoken.Ask{RoomID: "attic", ID: "a", TTL: time.Minute}
	if entry, err := s.Acquire(t.Context(), ask); err != nil || !errors.Is(entry.Degraded, errDown) {
		t.Errorf("degraded: got %+v, %v, want Degraded", entry, err)
	}
	_, committed := s.Commit(t.Context(), roomtoken.Lease{RoomID: "lobby", ID: "a"}, roomtoken.Result{})
	rejected := s.Reject(t.Context(), roomtoken.Rejection{RoomID: "lobby", Token: record.Token.Digest(), Left: time.Hour})
	held := s.Hold(t.Context(), time.Minute, roomtoken.Failure{Kind: roomtoken.FailureRateLimited})
	for _, err := range []error{committed, rejected, held} {
		if !errors.Is(err, errDown) {
			t.Errorf("a write: %v, want %v", err, errDown)
		}
	}
	s.Degrade(nil)
	if entry, err := s.Acquire(t.Context(), ask); err != nil || entry.Lease.IsZero() {
		t.Errorf("afterwards: got %+v, %v, want the lease", entry, err)
	}
	if s.Record("lobby").IsZero() {
		t.Error("a Reject that failed dropped the record")
	}
}

func TestStoreDamage(t *testing.T) {
	s := &Store{Clock: newMock()}
	s.Damage("lobby") // nothing to damage
	if entry := acquire(t, s, "a"); entry.Unreadable != nil {
		t.Errorf("Unreadable is %v although there was no record", entry.Unreadable)
	}
	s.Flush()
	fill(t, s, "token")
	s.Damage("lobby")
	if !s.Record("lobby").IsZero() {
		t.Error("Record returns a record that cannot be read")
	}
	if entry := acquire(t, s, "b"); entry.Unreadable == nil {
		t.Error("Unreadable is nil")
	}
}

// A failover loses the last writes and brings nothing back that has ended.
func TestStoreRestore(t *testing.T) {
	mock := newMock()
	s := &Store{Clock: mock}
	first := fill(t, s, "first")
	s.Hold(t.Context(), 10*time.Second, roomtoken.Failure{})
	before, _ := s.News(t.Context(), "")
	snapshot := s.Snapshot()

	rejection := roomtoken.Rejection{RoomID: "lobby", Token: first.Token.Digest(), Left: time.Hour}
	if err := s.Reject(t.Context(), rejection); err != nil {
		t.Fatal(err)
	}
	second := fill(t, s, "second")
	s.Hold(t.Context(), time.Minute, roomtoken.Failure{})
	after, _ := s.News(t.Context(), before.Cursor)
	if !s.Record("lobby").Token.Equal(second.Token) || len(after.Rejections) != 1 || after.Hold.ID == before.Hold.ID {
		t.Fatalf("before the failover there is %+v, %+v", s.Record("lobby"), after)
	}

	for range 2 { // a snapshot may be restored again
		s.Restore(snapshot)
		if !s.Record("lobby").Token.Equal(first.Token) {
			t.Error("the first record is not back")
		}
		news, _ := s.News(t.Context(), after.Cursor)
		if !news.Missed || len(news.Rejections) != 0 || news.Hold.ID != before.Hold.ID {
			t.Errorf("News is %+v, want the old hold, and that some were missed", news)
		}
		s.Reject(t.Context(), rejection)
	}
	s.Hold(t.Context(), time.Hour, roomtoken.Failure{})
	if news, _ := s.News(t.Context(), ""); news.Hold.ID == after.Hold.ID {
		t.Errorf("a new hold has the ID %q of one that was lost", news.Hold.ID)
	}
	mock.Add(time.Minute)
	s.Restore(snapshot)
	if len(s.Rooms()) != 0 {
		t.Errorf("%v is back although its record has ended", s.Rooms())
	}
}

func TestStoreFlushAndStep(t *testing.T) {
	s := &Store{Clock: newMock()}
	fill(t, s, "first")
	now := s.Now()
	s.Flush()
	if len(s.Rooms()) != 0 || s.Now() != now {
		t.Errorf("after Flush there is %v at %d, want nothing at %d", s.Rooms(), s.Now(), now)
	}
	acquire(t, s, "a")
	s.Step(9 * time.Second)
	if s.Leases()["lobby"].ID != "a" || s.Now().Sub(now) != 9*time.Second {
		t.Errorf("9 s later the leases are %v", s.Leases())
	}
	s.Step(-5 * time.Second)
	if entry := acquire(t, s, "b"); entry.Busy != 6*time.Second {
		t.Errorf("Busy for %v, want 6s", entry.Busy)
	}
	s.Step(6 * time.Second)
	if len(s.Leases()) != 0 {
		t.Errorf("10 s later the leases are %v", s.Leases())
	}
}
