package roomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// storeFaults are ways in which a store does not answer.
var storeFaults = map[string]roomtokentest.StoreFault{
	"refuses":           {Err: errors.New("connection refused"), Times: -1},
	"hangs":             {Latency: 5 * time.Second, Err: errors.New("i/o timeout"), Times: -1},
	"is slow":           {Latency: 2 * time.Second, Times: -1},
	"answers too late":  {Latency: 2 * time.Second, After: true, Times: -1},
	"loses its answers": {Err: errors.New("connection reset"), After: true, Times: -1},
	"panics":            {Do: func(context.Context) error { panic("store") }, Times: -1},
	"calls Goexit":      {Do: func(context.Context) error { runtime.Goexit(); return nil }, Times: -1},
}

// F8: whatever the store does, hits go on, and a caller without a token waits at most two
// StoreTimeouts longer than for the source alone; once the store counts as down, no longer.
func TestPromise13TheStoresTroubleCostsNoToken(t *testing.T) {
	for name, fault := range storeFaults {
		t.Run(name, func(t *testing.T) {
			withDeafFleet(t, true, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
				f.rest()
				f.same("warm")
				for _, p := range f.procs {
					p.store.Next(fault)
				}
				began := time.Now()
				var all sync.WaitGroup
				for i := range 200 {
					all.Go(func() {
						p, asked := f.procs[i%2], time.Now()
						if _, err := p.m.Token(context.Background(), fmt.Sprint("room", i)); err != nil {
							t.Error(err)
						}
						if took := time.Since(asked); took > 2*50*time.Millisecond+500*time.Millisecond {
							t.Errorf("room %d: a token after %v", i, took)
						}
					})
				}
				all.Wait()
				for time.Since(began) < 20*time.Second {
					time.Sleep(100 * time.Millisecond)
					if _, err := f.procs[0].hit("warm"); err != nil {
						t.Fatalf("a hit: %v", err)
					}
				}
				for i, p := range f.procs {
					if s := p.m.Stats(); !s.StoreDown || s.StoreFailures < 3 {
						t.Errorf("process %d: StoreDown %v after %d failures", i, s.StoreDown, s.StoreFailures)
					}
				}
				asked := time.Now()
				f.procs[0].token("later")
				if took := time.Since(asked); took != 50*time.Millisecond {
					t.Errorf("while the store is down a token took %v, want what the source takes", took)
				}
				for _, p := range f.procs {
					p.store.Clear()
				}
				time.Sleep(15 * time.Second)
				for i, p := range f.procs {
					var events []roomtoken.EventKind
					for _, e := range p.eventsFrom(0) {
						if e.Kind == roomtoken.EventStoreDown && (e.Err == nil || e.Until.IsZero()) ||
							e.Kind == roomtoken.EventStoreUp && e.Duration < 15*time.Second {
							t.Errorf("process %d: %v", i, e)
						}
						if e.Kind == roomtoken.EventStoreDown || e.Kind == roomtoken.EventStoreUp {
							events = append(events, e.Kind)
						}
					}
					if len(events) != 2 || events[0] != roomtoken.EventStoreDown || p.m.Stats().StoreDown {
						t.Errorf("process %d: events %v, StoreDown %v", i, events, p.m.Stats().StoreDown)
					}
				}
				if s := f.procs[0].m.Stats(); s.CreateFailures > 0 {
					t.Errorf("the store's errors count as the source's: %d", s.CreateFailures)
				}
			})
		})
	}
}

// F8: while the store is down a renewal is put off: a short outage costs next to no call, a
// long one at most one for each process and room; nobody waits.
func TestPromise13RenewalsArePutOff(t *testing.T) {
	const processes, rooms = 4, 50
	run := func(outage time.Duration) (calls int) {
		withFleet(t, processes, roomtoken.Config{IdleAfter: -1}, func(t *testing.T, f *fleet) {
			f.rotate()
			f.rest()
			for _, room := range names(rooms) {
				f.same(room)
			}
			time.Sleep(5*time.Minute + 40*time.Second) // the first renewals are due soon
			before := f.src.count()
			for _, p := range f.procs {
				p.store.Fail(errors.New("down"), -1, 0)
			}
			time.Sleep(outage)
			calls = f.src.count() - before
			for i, p := range f.procs {
				if n := p.m.Stats().Lapses; n > 0 {
					t.Errorf("process %d: %d lapses", i, n)
				}
				p.store.Clear()
			}
			// F9: one renewal later all have the same tokens.
			time.Sleep(8 * time.Minute)
			f.settle(names(rooms)...)
			for _, p := range f.procs {
				if n := p.m.Stats().Lapses; n > 0 {
					t.Errorf("%d lapses after the outage", n)
				}
			}
		})
		return calls
	}
	if short := run(30 * time.Second); short > rooms/4 {
		t.Errorf("an outage of 30 s cost %d calls for %d rooms", short, rooms)
	}
	if long := run(4 * time.Minute); long < rooms || long > processes*rooms {
		t.Errorf("an outage of 4 min cost %d calls for %d rooms in %d processes", long, rooms, processes)
	}
}

// F9: it does not matter whether the store comes back full, empty, or with an older state.
func TestPromise13Convergence(t *testing.T) {
	for name, lose := range map[string]func(f *fleet, old *roomtokentest.StoreSnapshot){
		"full":         func(*fleet, *roomtokentest.StoreSnapshot) {},
		"empty":        func(f *fleet, _ *roomtokentest.StoreSnapshot) { f.store.Flush() },
		"an old state": func(f *fleet, old *roomtokentest.StoreSnapshot) { f.store.Restore(old) },
	} {
		t.Run(name, func(t *testing.T) {
			withFleet(t, 4, roomtoken.Config{IdleAfter: -1}, func(t *testing.T, f *fleet) {
				f.rotate()
				f.rest()
				const rooms = 20
				for _, room := range names(rooms) {
					f.same(room)
				}
				old := f.store.Snapshot()
				time.Sleep(8 * time.Minute)
				f.settle(names(rooms)...)
				lose(f, old)
				f.start(roomtoken.Config{IdleAfter: -1})
				time.Sleep(8 * time.Minute)
				f.settle(names(rooms)...)
				before := f.src.count()
				time.Sleep(400 * time.Second)
				if n := f.src.count() - before; n > rooms*5/4 {
					t.Errorf("%d renewals of %d rooms in a renewal's time", n, rooms)
				}
				for i, p := range f.procs {
					if n := p.m.Stats().Lapses; n > 0 {
						t.Errorf("process %d: %d lapses", i, n)
					}
				}
			})
		})
	}
}

// F8: a store that takes no writes still gives what it has.
func TestPromise13AStoreThatTakesNoWrites(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		f.procs[0].token("a")
		f.rest()
		f.store.Degrade(errors.New("READONLY"))
		if f.same("a"); f.src.count() != 1 {
			t.Errorf("%d calls, want that the second process adopts", f.src.count())
		}
		for i := range 3 {
			f.procs[0].token(fmt.Sprint("room", i))
		}
		f.rest()
		s := f.procs[0].m.Stats()
		if n := f.procs[0].eventCounts()[roomtoken.EventStoreDown]; n != 1 || s.StoreDown {
			t.Errorf("%d events, StoreDown %v, want that it is told and asked further", n, s.StoreDown)
		}
		f.store.Degrade(nil)
		f.procs[0].token("b")
		f.rest()
		if n := f.procs[0].eventCounts()[roomtoken.EventStoreUp]; n != 1 {
			t.Errorf("%d events that it is back", n)
		}
	})
}

// F11: what cannot be read counts as absent, is told, and is replaced.
func TestPromise13AnUnreadableRecord(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.procs[0].token("a")
		f.rest()
		f.store.Damage("a")
		f.procs[1].token("a")
		f.calls("a", create, create)
		f.rest()
		var told []roomtoken.Event
		for _, e := range f.procs[1].eventsFrom(0) {
			if e.Kind == roomtoken.EventRecordUnreadable {
				told = append(told, e)
			}
		}
		if len(told) != 1 || told[0].RoomID != "a" || told[0].Err == nil {
			t.Errorf("events %v", told)
		}
		if s := f.procs[1].m.Stats(); s.StoreFailures != 0 {
			t.Errorf("it counts as a failure of the store")
		}
		late := f.start(roomtoken.Config{})
		if late.token("a"); len(f.src.of("a")) != 2 {
			t.Error("the record was not replaced")
		}
	})
}

// F8: one ask that gets no answer costs its caller a StoreTimeout, and no second one.
func TestPromise13AnAskWithoutAnAnswer(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
		f.rest()
		f.procs[0].store.Next(roomtokentest.StoreFault{On: roomtokentest.StoreAcquire, Latency: time.Second, Times: 3})
		began := time.Now()
		f.procs[0].token("a")
		if took := time.Since(began); took != 300*time.Millisecond {
			t.Errorf("a token after %v, want StoreTimeout and what the source takes", took)
		}
	})
}

// F8: in an outage of hours each renewal is put off anew.
func TestPromise13EachRenewalIsPutOff(t *testing.T) {
	withFleet(t, 1, roomtoken.Config{IdleAfter: -1}, func(t *testing.T, f *fleet) {
		p := f.procs[0]
		p.store.Fail(errors.New("down"), -1, 0)
		for _, room := range names(40) {
			p.token(room)
		}
		time.Sleep(time.Hour)
		var ages time.Duration
		renewals := 0
		for _, room := range names(40) {
			calls := f.src.of(room)
			for i := range calls[1:] {
				ages += calls[i+1].at - calls[i].at
				renewals++
			}
		}
		// They are due at an age of 340 to 400 s, and could wait until 560 s.
		if mean := ages / time.Duration(renewals); mean < 440*time.Second || mean > 490*time.Second {
			t.Errorf("%d renewals at a mean age of %v", renewals, mean)
		}
		if s := p.m.Stats(); s.Lapses > 0 {
			t.Errorf("%d lapses", s.Lapses)
		}
	})
}
