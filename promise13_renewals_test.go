package roomtoken_test

import (
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// F2: a renewal of a room that R processes keep fresh costs R + 1 commands, at most
// 1.3 R + 1 with lifetimes of seconds, and wakes nobody.
func TestPromise13CommandsPerRenewal(t *testing.T) {
	const processes, rooms = 16, 10
	for lifetime, most := range map[time.Duration]float64{
		20 * time.Second: 1.3*processes + 1,
		10 * time.Minute: processes + 1.2,
	} {
		t.Run(lifetime.String(), func(t *testing.T) {
			withFleet(t, processes, roomtoken.Config{IdleAfter: -1}, func(t *testing.T, f *fleet) {
				f.rotate()
				f.src.live(lifetime, 0)
				f.rest()
				for _, room := range names(rooms) {
					f.same(room)
				}
				f.rest()
				commands := func() (n int) {
					for _, p := range f.procs {
						n += p.store.Count(roomtokentest.StoreAcquire | roomtokentest.StoreCommit)
					}
					return n
				}
				time.Sleep(lifetime) // they are spread by then
				calls, before := f.src.count(), commands()
				time.Sleep(20 * lifetime)
				calls = f.src.count() - calls
				perRenewal := float64(commands()-before) / float64(calls)
				t.Logf("%d renewals, %.2f commands each", calls, perRenewal)
				if perRenewal > most {
					t.Errorf("%.2f commands per renewal, want at most %.1f", perRenewal, most)
				}
				for _, p := range f.procs {
					if s := p.m.Stats(); s.Lapses > 0 {
						t.Errorf("%d lapses", s.Lapses)
					}
				}
			})
		})
	}
}
