package fleet_test

import (
	"fmt"
	"testing"
	"time"
)

// Whatever the client is like, there is one create per room, and one refresh per renewal;
// while the server is stopped nobody fails.
func TestClients(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *settings){
		"RESP2":                             func(s *settings) { s.Protocol = 2 },
		"RESP3":                             func(s *settings) { s.Protocol = 3 },
		"RESP2, deaf to the ctx":            func(s *settings) { s.Protocol, s.Deaf = 2, true },
		"RESP3, deaf to the ctx":            func(s *settings) { s.Protocol, s.Deaf = 3, true },
		"a pool of one connection":          func(s *settings) { s.PoolSize = 1 },
		"one connection, deaf to the ctx":   func(s *settings) { s.PoolSize, s.Deaf = 1, true },
		"a user without channel permission": func(s *settings) { s.User, s.Password = "mute", "secret" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startRedis(t)
			s.do("ACL", "SETUSER", "mute", "on", ">secret", "~*", "+@all", "resetchannels")
			f := newFleet(t, lifetime, s.addr)
			f.settings.StoreTimeout = 2 * time.Second
			change(&f.settings)
			f.startAll(3)
			all := rooms(50)
			before := f.same(all...)
			f.converge(before, all...)
			f.once(all...)

			for _, p := range f.workers {
				call[struct{}](p, "Traffic", Customers{Name: p.name, Rooms: all})
			}
			s.stop()
			time.Sleep(5 * time.Second)
			s.proceed()
			after := f.converge(nil, all...)
			f.converge(after, all...)
			for _, p := range f.workers {
				p.quiet()
			}
		})
	}
}

// Where wakes are lost, those who wait look for themselves: for a user who may not listen,
// and where the connection is up and delivers nothing.
func TestWakesThatAreLost(t *testing.T) {
	t.Parallel()
	for name, deafen := range map[string]func(f *fleet, s *server, p *proxy){
		"no channel permission": func(f *fleet, s *server, _ *proxy) {
			s.do("ACL", "SETUSER", "mute", "on", ">secret", "~*", "+@all", "resetchannels")
			f.settings.User, f.settings.Password = "mute", "secret"
		},
		"nothing is delivered": func(_ *fleet, _ *server, p *proxy) { p.silence() },
	} {
		for _, protocol := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s, RESP%d", name, protocol), func(t *testing.T) {
				t.Parallel()
				s := startRedis(t)
				p := startProxy(t, s.addr)
				f := newFleet(t, time.Minute, s.addr)
				f.settings.Protocol, f.settings.CallTimeout = protocol, 30*time.Second
				holder := f.start()
				f.settings.Addrs = []string{p.addr}
				deafen(f, s, p)
				waiter := f.start()
				f.same("warm")
				for _, room := range rooms(3) {
					f.issuer.hold(room)
					holder.ask(room)
					f.issuer.await(t, room, 1)
					waiting := waiter.ask(room)
					time.Sleep(time.Second)
					began := time.Now()
					f.issuer.pass(room)()
					waiter.served(waiting, room)
					if took := time.Since(began); took > 500*time.Millisecond+late {
						t.Errorf("the token came %v after the other process had it", took)
					}
				}
				f.once(rooms(3)...)
			})
		}
	}
}
