package roomtokentest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// storeRecord returns a record whose token lives for a minute from now on.
func storeRecord(s *Store, lease roomtoken.Lease, value string) roomtoken.Record {
	return roomtoken.Record{
		Version:  max(lease.Version+1, uint64(lease.Granted)),
		Token:    roomtoken.NewSecret(value),
		Began:    s.Now(),
		Lifetime: time.Minute,
	}
}

// acquire returns the answer to an ask for the lobby, with a lease of 10 s.
func acquire(t *testing.T, s *Store, id string) roomtoken.Entry {
	t.Helper()
	entry, err := s.Acquire(t.Context(), roomtoken.Ask{RoomID: "lobby", ID: id, TTL: 10 * time.Second, Wait: true})
	if err != nil {
		t.Fatalf("Acquire %s: %v", id, err)
	}
	return entry
}

// fill commits a record of the lobby and returns it.
func fill(t *testing.T, s *Store, value string) roomtoken.Record {
	t.Helper()
	lease := acquire(t, s, value).Lease
	record := storeRecord(s, lease, value)
	committed, err := s.Commit(t.Context(), lease, roomtoken.Result{Record: record})
	if err != nil || !committed.Taken {
		t.Fatalf("Commit %s: %+v, %v", value, committed, err)
	}
	return record
}

// Two processes share a room: one has the lease, the other waits and is woken.
func TestStoreProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{}
		other := s.Process()
		ctx, cancel := context.WithCancel(t.Context())
		type woken struct{ roomID, token string }
		wakes, own := make(chan woken, 10), make(chan woken, 10)
		go other.Wake(ctx, func(roomID string, r roomtoken.Record) { wakes <- woken{roomID, r.Token.Reveal()} })
		go s.Wake(ctx, func(roomID string, r roomtoken.Record) { own <- woken{roomID, r.Token.Reveal()} })
		synctest.Wait()
		if got := <-wakes; got != (woken{}) {
			t.Errorf("first wake: %v, want the heartbeat", got)
		}
		<-own

		lease := acquire(t, s, "a").Lease
		if lease.IsZero() || s.Leases()["lobby"] != lease {
			t.Fatalf("lease %v, and Leases returns %v", lease, s.Leases())
		}
		if entry := acquire(t, other, "b"); entry.Busy != 10*time.Second {
			t.Errorf("the other process got %+v, want Busy for 10 s", entry)
		}
		record := storeRecord(s, lease, "secret")
		if c, err := s.Commit(ctx, lease, roomtoken.Result{Record: record}); err != nil || !c.Taken {
			t.Errorf("Commit: %+v, %v", c, err)
		}
		if got := <-wakes; got != (woken{"lobby", "secret"}) {
			t.Errorf("woken with %v, want the record", got)
		}
		if entry := acquire(t, other, "c"); !entry.Record.Token.Equal(record.Token) {
			t.Errorf("the other process got %+v, want the record", entry)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(own) == 0 || len(own) > 3 {
			t.Errorf("%d wakes of the process that did not wait, want some heartbeats", len(own))
		}
		for len(own) > 0 {
			if got := <-own; got != (woken{}) {
				t.Errorf("the process that did not wait was woken with %v", got)
			}
		}
		cancel()

		if got := s.Count(0); got != 2 {
			t.Errorf("one process made %d calls, want 2", got)
		}
		if got := other.Count(StoreAcquire); got != 2 {
			t.Errorf("the other process made %d calls of Acquire, want 2", got)
		}
		if !slices.Equal(s.Rooms(), []string{"lobby"}) {
			t.Errorf("Rooms returns %v", s.Rooms())
		}
		s.Step(time.Minute)
		if len(s.Rooms()) != 0 || !s.Record("lobby").IsZero() {
			t.Errorf("after a minute there is still %v", s.Rooms())
		}
	})
}

// Several Managers may share a Store without Process: all hear of its wakes.
func TestStoreWakesAllListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{}
		ctx, cancel := context.WithCancel(t.Context())
		woken := make(chan string, 100)
		for range 2 {
			go s.Wake(ctx, func(roomID string, _ roomtoken.Record) {
				if roomID != "" {
					woken <- roomID
				}
			})
		}
		synctest.Wait()
		lease := acquire(t, s, "a").Lease
		acquire(t, s, "b")
		s.Commit(ctx, lease, roomtoken.Result{})
		synctest.Wait()
		if len(woken) != 2 {
			t.Errorf("%d wakes, want 2", len(woken))
		}
		cancel()
		synctest.Wait()
		if n := len(s.wakes.inboxes); n != 0 {
			t.Errorf("%d inboxes after Wake has returned", n)
		}
	})
}

func TestStoreLosesWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{}
		ctx, cancel := context.WithCancelCause(t.Context())
		woken := make(chan string, 100)
		done := make(chan error, 1)
		s.LoseWakes(true)
		go func() {
			done <- s.Wake(ctx, func(roomID string, _ roomtoken.Record) { woken <- roomID })
		}()
		synctest.Wait()
		lease := acquire(t, s, "a").Lease
		acquire(t, s, "b")
		s.Commit(ctx, lease, roomtoken.Result{})
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(woken) != 0 {
			t.Errorf("%d wakes, heartbeats included, want none", len(woken))
		}
		s.LoseWakes(false)
		time.Sleep(heartbeat)
		synctest.Wait()
		if len(woken) != 1 {
			t.Errorf("%d heartbeats, want 1", len(woken))
		}
		cancel(errDown)
		if err := <-done; !errors.Is(err, errDown) {
			t.Errorf("Wake: %v, want the cause %v", err, errDown)
		}
		if s.Count(0) != 3 || s.Count(StoreWake) != 1 || s.InFlight() != 0 {
			t.Errorf("%d calls, %d of Wake, %d in flight, want 3, 1 and 0", s.Count(0), s.Count(StoreWake), s.InFlight())
		}
	})
}

// The zero Lease is none: it is not in force where nobody has the lease.
func TestStoreZeroLease(t *testing.T) {
	s := &Store{Clock: newMock()}
	record := fill(t, s, "token")
	next := record
	next.Version++
	committed, err := s.Commit(t.Context(), roomtoken.Lease{RoomID: "lobby"}, roomtoken.Result{Record: next})
	if err != nil || committed.Taken || committed.Newer.Version != record.Version {
		t.Errorf("got %+v, %v, want it not taken because of version %d", committed, err, record.Version)
	}
}

// Rooms of which nothing is known any more take no memory.
func TestStoreIsBounded(t *testing.T) {
	s := &Store{Clock: newMock()}
	for i := range 10_000 {
		if _, err := s.Acquire(t.Context(), roomtoken.Ask{RoomID: fmt.Sprint(i), ID: "a", TTL: time.Second}); err != nil {
			t.Fatal(err)
		}
		s.Load(t.Context(), []string{fmt.Sprint("absent ", i)})
		s.Step(100 * time.Millisecond)
	}
	if n := len(s.shared.rooms); n > 128 {
		t.Errorf("there are %d rooms, of which 10 have a lease", n)
	}
}
