package roomtoken_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// F3: a room that waits for another process's lease holds no slot, and its callers have the
// token soon after its commit.
func TestPromise13WaitingIsFree(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{MaxConcurrentCalls: 1}, func(t *testing.T, f *fleet) {
		for _, lost := range []bool{false, true} {
			room, within := "a", 50*time.Millisecond
			if lost {
				room, within = "b", 500*time.Millisecond
				f.procs[1].store.LoseWakes(true)
				time.Sleep(20 * time.Second)
			}
			f.rest()
			f.src.holdCalls(true)
			first := f.procs[0].ask(context.Background(), room)
			time.Sleep(10 * time.Millisecond)
			second := f.procs[1].ask(context.Background(), room)
			time.Sleep(3 * time.Second)
			if n := f.procs[1].m.Stats().CallsInFlight; n != 0 {
				t.Errorf("%d calls of the process that waits", n)
			}
			f.src.stopHolding()
			if _, err := f.procs[1].m.Token(context.Background(), "other "+room); err != nil {
				t.Fatalf("another room while one waits: %v", err)
			}
			f.src.release(room)
			time.Sleep(within + 55*time.Millisecond)
			f.procs[0].served(first)
			if got, want := f.procs[1].served(second), first.tok; !got.Value.Equal(want.Value) {
				t.Errorf("the processes have different tokens")
			}
			f.calls(room, create)
		}
	})
}

// F3: a room whose token is in the store is served although all slots are taken, or all
// calls are held back.
func TestPromise13TheStoreServesWithoutASlot(t *testing.T) {
	serve := func(t *testing.T, f *fleet, p *process) {
		t.Helper()
		f.same("a") // in the store, by way of process 0 alone
		began := time.Now()
		tok := p.ask(context.Background(), "a")
		time.Sleep(100 * time.Millisecond)
		p.served(tok)
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		f.calls("a", create)
	}
	t.Run("all slots are taken", func(t *testing.T) {
		withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
			f.same("a")
			p := f.start(roomtoken.Config{MaxConcurrentCalls: 1})
			f.procs = f.procs[:1]
			defer func() { f.procs = append(f.procs, p) }()
			f.rest()
			f.src.holdCalls(false)
			p.ask(context.Background(), "slow")
			time.Sleep(10 * time.Millisecond)
			serve(t, f, p)
			f.src.releaseAll()
		})
	})
	t.Run("a rate limit holds all calls", func(t *testing.T) {
		withFleet(t, 1, roomtoken.Config{}, func(t *testing.T, f *fleet) {
			f.same("a")
			p := f.start(roomtoken.Config{})
			f.procs = f.procs[:1]
			defer func() { f.procs = append(f.procs, p) }()
			f.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Hour))
			p.askWithin(time.Second, "limited")
			f.src.on(nil)
			serve(t, f, p)
		})
	})
}

// F4: a process that dies in its source call delays the room by the lease, which lasts
// CallTimeout and two StoreTimeouts, and at most a second more. Who has a valid token is
// delayed by nothing.
func TestPromise13ADeadHolder(t *testing.T) {
	withFleet(t, 2, roomtoken.Config{CallTimeout: 5 * time.Second}, func(t *testing.T, f *fleet) {
		f.rest()
		dead, alive := f.procs[0], f.procs[1]
		f.src.holdCalls(true)
		dead.ask(context.Background(), "a")
		time.Sleep(10 * time.Millisecond)
		dead.store.Fail(errors.New("dead"), -1, 0)
		f.src.stopHolding()
		began := time.Now()
		tok, err := alive.m.Token(context.Background(), "a")
		if err != nil || tok.IsZero() {
			t.Fatalf("Token: %v", err)
		}
		if took := time.Since(began); took < 5*time.Second || took > 6500*time.Millisecond+50*time.Millisecond {
			t.Errorf("it took %v, want the rest of a lease of 5.5 s and at most a second", took)
		}
		f.calls("a", create, create)
		dead.store.Clear()
		time.Sleep(10 * time.Second) // it finds that the store answers
		f.src.releaseAll()
		f.rest()
		f.same("a")
	})
}

// F4: Close gives the leases back.
func TestPromise13CloseGivesLeasesBack(t *testing.T) {
	for name, fault := range map[string]roomtokentest.StoreFault{
		"in the call":          {},
		"while it asks":        {On: roomtokentest.StoreAcquire, Latency: 100 * time.Millisecond},
		"the answer is late":   {On: roomtokentest.StoreAcquire, After: true, Latency: 100 * time.Millisecond},
		"the answer gets lost": {On: roomtokentest.StoreAcquire, After: true, Err: errors.New("lost")},
	} {
		t.Run(name, func(t *testing.T) {
			withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
				f.rest()
				if fault.On != 0 {
					f.procs[0].store.Next(fault)
				}
				f.src.holdCalls(false)
				f.procs[0].ask(context.Background(), "a")
				time.Sleep(50 * time.Millisecond)
				f.src.stopHolding()
				waiting := f.procs[1].ask(context.Background(), "a")
				time.Sleep(time.Millisecond)
				began := time.Now()
				if err := f.procs[0].m.Close(); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 500*time.Millisecond {
					t.Errorf("Close took %v", took)
				}
				time.Sleep(time.Second)
				f.procs[1].served(waiting)
			})
		})
	}
}

// F5: what a process brings that was stopped for longer than its lease does not replace a
// newer record: it adopts that. Without one its grant is taken.
func TestPromise13Fencing(t *testing.T) {
	for _, overtaken := range []bool{true, false} {
		t.Run(map[bool]string{true: "overtaken", false: "nobody came"}[overtaken], func(t *testing.T) {
			withFleet(t, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
				f.rest()
				f.src.on(nil) // it does not look at its ctx
				f.src.holdCalls(true)
				f.procs[0].ask(context.Background(), "a")
				time.Sleep(11 * time.Second) // the lease is over
				f.src.stopHolding()
				want := ""
				if overtaken {
					tok, err := f.procs[1].m.Token(context.Background(), "a")
					if err != nil {
						t.Fatal(err)
					}
					want = tok.Value.Reveal()
				}
				f.rest()
				f.src.releaseAll()
				f.rest()
				got := f.same("a")
				if overtaken && got != want {
					t.Errorf("all have %s, want %s of the process that came first", got, want)
				}
				lost := 0
				for _, e := range f.procs[0].eventsFrom(0) {
					if e.Kind == roomtoken.EventLeaseLost {
						lost++
						if e.RoomID != "a" || e.Fingerprint == "" || e.Fingerprint == roomtoken.NewSecret(want).Fingerprint() {
							t.Errorf("event %v", e)
						}
					}
				}
				wantLost := map[bool]int{true: 1}[overtaken]
				if n := f.procs[0].m.Stats().LeasesLost; lost != wantLost || n != uint64(wantLost) {
					t.Errorf("%d events, LeasesLost %d, want %d", lost, n, wantLost)
				}
			})
		})
	}
}

// F5: a commit that got no answer is told again.
func TestPromise13ACommitIsToldAgain(t *testing.T) {
	for name, fault := range map[string]roomtokentest.StoreFault{
		"it was not taken":     {Err: errors.New("down")},
		"the answer got lost":  {Err: errors.New("lost"), After: true},
		"the answer is late":   {Latency: 2 * time.Second, After: true},
		"it is taken too late": {Latency: 300 * time.Millisecond},
		"it panics":            {Do: func(context.Context) error { panic("no") }},
	} {
		t.Run(name, func(t *testing.T) {
			withDeafFleet(t, true, 2, roomtoken.Config{}, func(t *testing.T, f *fleet) {
				f.rest()
				fault.On = roomtokentest.StoreCommit
				f.procs[0].store.Next(fault)
				tok, err := f.procs[0].m.Token(context.Background(), "a")
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(1500 * time.Millisecond)
				if got := f.store.Record("a"); !got.Token.Equal(tok.Value) {
					t.Fatalf("the store has no record, or another")
				}
				if n := len(f.store.Leases()); n > 0 {
					t.Errorf("%d leases", n)
				}
				f.same("a")
				f.calls("a", create)
				if n := f.procs[0].m.Stats().LeasesLost; n != 0 {
					t.Errorf("%d leases lost", n)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}
