package roomtokentest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestStoreFail(t *testing.T) {
	s := &Store{Clock: newMock()}
	other := s.Process()
	s.Fail(errDown, 0, 0)
	s.Fail(errDown, 1, StoreAcquire|StoreNews)
	if _, err := s.Load(t.Context(), []string{"lobby"}); err != nil {
		t.Errorf("Load: %v, want no failure", err)
	}
	if _, err := other.News(t.Context(), ""); err != nil {
		t.Errorf("News of the other process: %v, want no failure", err)
	}
	if _, err := s.News(t.Context(), ""); !errors.Is(err, errDown) {
		t.Errorf("News: %v, want %v", err, errDown)
	}
	if _, err := s.News(t.Context(), ""); err != nil {
		t.Errorf("second News: %v, want no failure", err)
	}

	s.Fail(errDown, -1, 0)
	for range 2 {
		_, loaded := s.Load(t.Context(), nil)
		_, acquired := s.Acquire(t.Context(), roomtoken.Ask{RoomID: "lobby", ID: "a", TTL: time.Minute})
		_, committed := s.Commit(t.Context(), roomtoken.Lease{}, roomtoken.Result{})
		_, news := s.News(t.Context(), "")
		rejected := s.Reject(t.Context(), roomtoken.Rejection{RoomID: "lobby"})
		held := s.Hold(t.Context(), time.Minute, roomtoken.Failure{})
		for _, err := range []error{loaded, acquired, committed, rejected, held, news} {
			if !errors.Is(err, errDown) {
				t.Errorf("a call in an outage: %v, want %v", err, errDown)
			}
		}
	}
	if len(other.Rooms()) != 0 {
		t.Errorf("calls that failed have changed %v", other.Rooms())
	}
	s.Clear()
	acquire(t, s, "a")

	s.Fail(errDown, 1, StoreWake)
	if err := s.Wake(t.Context(), nil); !errors.Is(err, errDown) {
		t.Errorf("Wake: %v, want %v", err, errDown)
	}
}

// A fault concerns one room, before or after the work.
func TestStoreFaults(t *testing.T) {
	s := &Store{Clock: newMock()}
	for _, after := range []bool{false, true} {
		s.Next(StoreFault{On: StoreAcquire, Room: "lobby", Err: errDown, After: after})
		if _, err := s.Acquire(t.Context(), roomtoken.Ask{RoomID: "attic", ID: "a", TTL: time.Minute}); err != nil {
			t.Errorf("Acquire of another room: %v", err)
		}
		if _, err := s.Acquire(t.Context(), roomtoken.Ask{RoomID: "lobby", ID: "a", TTL: time.Minute}); !errors.Is(err, errDown) {
			t.Errorf("Acquire: %v, want %v", err, errDown)
		}
		if _, given := s.Leases()["lobby"]; given != after {
			t.Errorf("After %v: the lease is given: %v", after, given)
		}
	}
	s.Next(StoreFault{Do: func(context.Context) error { panic("a bug") }})
	func() {
		defer func() {
			if r := recover(); r != "a bug" {
				t.Errorf("recovered %v, want the panic", r)
			}
		}()
		s.News(t.Context(), "")
	}()
	if n := s.InFlight(); n != 0 {
		t.Errorf("%d calls in flight after a panic", n)
	}
}

// What Do does happens instead of, before or after the work, for as long as it likes.
func TestStoreBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{}
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		s.Next(
			StoreFault{On: StoreNews, Do: func(context.Context) error { <-release; return nil }},
			StoreFault{On: StoreLoad, Do: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		)
		news, load := make(chan error, 1), make(chan error, 1)
		go func() { _, err := s.News(context.Background(), ""); news <- err }()
		go func() { _, err := s.Load(ctx, nil); load <- err }()
		synctest.Wait()
		if s.InFlight() != 2 || s.MaxInFlight() != 2 || len(news)+len(load) != 0 {
			t.Errorf("%d calls in flight, want 2", s.InFlight())
		}
		cancel()
		if err := <-load; !errors.Is(err, context.Canceled) {
			t.Errorf("Load: %v, want %v", err, context.Canceled)
		}
		close(release)
		if err := <-news; err != nil {
			t.Errorf("News: %v", err)
		}
		if s.InFlight() != 0 || s.MaxInFlight() != 2 {
			t.Errorf("%d calls in flight, %d at most, want 0 and 2", s.InFlight(), s.MaxInFlight())
		}
	})
}

func TestStoreLatency(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  StoreFault
		worked time.Duration // when the work is done
	}{
		{"of the Store", StoreFault{}, time.Second},
		{"of a request", StoreFault{Latency: time.Second}, 2 * time.Second},
		{"of an answer", StoreFault{Latency: time.Second, After: true}, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Store{Latency: time.Second}
				tt.fault.On = StoreAcquire
				s.Next(tt.fault)
				began, now := time.Now(), s.Now()
				entry := acquire(t, s, "a")
				if took, want := time.Since(began), time.Second+tt.fault.Latency; took != want {
					t.Errorf("the call took %v, want %v", took, want)
				}
				if worked := entry.Now.Sub(now); worked != tt.worked {
					t.Errorf("the work was done after %v, want %v", worked, tt.worked)
				}
			})
		})
	}
}

// A delayed call ends with its ctx, unless IgnoreContext is set.
func TestStoreContext(t *testing.T) {
	for _, ignore := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &Store{Latency: time.Hour, IgnoreContext: ignore}
			s.Next(StoreFault{On: StoreNews, Latency: time.Hour, After: true})
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errDown)
			defer cancel()
			began := time.Now()
			_, err := s.Process().News(ctx, "")
			if ignore && (err != nil || time.Since(began) != time.Hour) {
				t.Errorf("ignoring ctx: %v after %v, want no error after an hour", err, time.Since(began))
			}
			if !ignore && (!errors.Is(err, errDown) || time.Since(began) != time.Minute) {
				t.Errorf("%v after %v, want %v after a minute", err, time.Since(began), errDown)
			}
		})
	}
}
