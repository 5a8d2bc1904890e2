package roomtoken_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// F1: one create per cold room, however many processes and callers ask, and everybody gets
// that token.
func TestPromise13OneCreateForAllProcesses(t *testing.T) {
	withFleet(t, 8, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest() // wakes are known to arrive
		began := time.Now()
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() { f.same("a") })
		}
		all.Wait()
		if took := time.Since(began); took > 56*time.Millisecond {
			t.Errorf("all had their token after %v, want 50 ms and a few calls of the store", took)
		}
		f.calls("a", create)
		commands := 0
		for _, p := range f.procs {
			commands += p.store.Count(roomtokentest.StoreAcquire | roomtokentest.StoreCommit)
		}
		if commands != 9 {
			t.Errorf("%d calls of the store, want one ask of each of 8 processes and a commit", commands)
		}
	})
}

// F1, F2: one refresh per room and renewal, and a command of each process beside the commit.
func TestPromise13OneRefreshPerRenewal(t *testing.T) {
	const processes = 8
	withFleet(t, processes, roomtoken.Config{IdleAfter: -1}, func(t *testing.T, f *fleet) {
		f.rotate()
		const rooms = 20
		for _, room := range names(rooms) {
			f.same(room)
		}
		if n := f.src.count(); n != rooms {
			t.Fatalf("%d creates for %d rooms", n, rooms)
		}
		asks := func() (n int) {
			for _, p := range f.procs {
				n += p.store.Count(roomtokentest.StoreAcquire | roomtokentest.StoreCommit)
			}
			return n
		}
		before := asks()
		const renewals = 10
		for n := 1; n <= renewals; n++ {
			f.eventually(8*time.Minute, "the next renewal of all rooms", func() bool { return f.src.count() >= (n+1)*rooms })
			time.Sleep(70 * time.Second)
			f.settle(names(rooms)...) // the renewals of some rooms have drifted apart, and are under way
		}
		for _, room := range names(rooms) {
			spent := map[string]bool{}
			for _, c := range f.src.of(room) {
				if c.kind == refresh && spent[c.refresh] {
					t.Errorf("room %q: a refresh token was spent twice", room)
				}
				spent[c.refresh] = true
			}
		}
		calls := f.src.count()
		perRenewal := float64(asks()-before) / float64(calls-rooms)
		if perRenewal > processes+1.1 {
			t.Errorf("%.2f calls of the store per renewal, want %d", perRenewal, processes+1)
		}
		for i, p := range f.procs {
			if lapses := p.m.Stats().Lapses; lapses > 0 {
				t.Errorf("process %d: %d lapses", i, lapses)
			}
		}
	})
}

// F1: a process that comes later adopts what the others have.
func TestPromise13ALateProcessAdopts(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		token := f.same("a")
		time.Sleep(time.Minute)
		late := f.start(roomtoken.Config{})
		tok, err := late.m.Token(context.Background(), "a")
		if err != nil || tok.Value.Reveal() != token {
			t.Fatalf("Token = %v, %v, want that of the other process", tok.Value.Reveal(), err)
		}
		first, _ := f.procs[0].m.Cached("a")
		if d := first.ExpiresAt.Sub(tok.ExpiresAt); d < 0 || d > 100*time.Millisecond {
			t.Errorf("it expires %v before that of the process that got it, want a little", d)
		}
		f.calls("a", create)
		if s := late.m.Stats(); s.Adopted != 1 || s.Creates != 0 {
			t.Errorf("adopted %d, created %d", s.Adopted, s.Creates)
		}
		var published []roomtoken.Event
		for _, e := range late.eventsFrom(0) {
			if e.Kind == roomtoken.EventTokenPublished {
				published = append(published, e)
			}
			if e.Kind == roomtoken.EventCallBegun {
				t.Errorf("event %v", e)
			}
		}
		if len(published) != 1 || published[0].Call != 0 || published[0].Reason != roomtoken.ReasonAdopted {
			t.Errorf("events %v", published)
		}
	})
}

// F15: Warm looks its rooms up in batches before it calls the source for any.
func TestPromise13WarmFromTheStore(t *testing.T) {
	const rooms = 10_000
	withFleet(t, 1, roomtoken.Config{IdleAfter: -1}, func(t *testing.T, f *fleet) {
		f.src.on(nil)
		if err := f.procs[0].m.Warm(context.Background(), names(rooms)...); err != nil {
			t.Fatal(err)
		}
		f.rest() // the last commits
		late := f.start(roomtoken.Config{})
		began := time.Now()
		if err := late.m.Warm(context.Background(), append(names(rooms), "new")...); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		f.rest() // the commit of the new one
		if took > time.Second {
			t.Errorf("Warm took %v, want a round trip for 500 rooms", took)
		}
		if n := f.src.count(); n != rooms+1 {
			t.Errorf("%d calls of the source, want one per room and one for the new one", n)
		}
		loads, asks := late.store.Count(roomtokentest.StoreLoad), late.store.Count(roomtokentest.StoreAcquire|roomtokentest.StoreCommit)
		if loads != rooms/500+1 || asks != 2 {
			t.Errorf("%d loads and %d asks and commits, want %d and 2", loads, asks, rooms/500+1)
		}
		if s := late.m.Stats(); s.Adopted != rooms {
			t.Errorf("adopted %d", s.Adopted)
		}
	})
}

// F1: whoever renews a token does it with the refresh token that came with it.
func TestPromise13AnotherProcessRefreshes(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{IdleAfter: -1}, func(t *testing.T, f *fleet) {
		f.rotate()
		f.procs[0].token("a")
		f.procs[1].token("a")
		f.rest()
		if err := f.procs[0].m.Close(); err != nil {
			t.Fatal(err)
		}
		f.start(roomtoken.Config{IdleAfter: -1}).token("a")
		time.Sleep(15 * time.Minute)
		f.calls("a", create, refresh, refresh)
		if first, second := f.src.of("a")[1], f.src.of("a")[2]; first.refresh != "refresh-a-1" || second.refresh == first.refresh {
			t.Errorf("refreshed with %s, then with %s", first.refresh, second.refresh)
		}
	})
}
