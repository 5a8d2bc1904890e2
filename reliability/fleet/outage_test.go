package fleet_test

import (
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// outage is how long a fault lasts. It is longer than tokens live, so that all are renewed
// meanwhile.
const (
	outage   = 10 * time.Second
	lifetime = 8 * time.Second
)

// faults break a server, through the proxy in front of it or by itself, and mend it.
var faults = map[string]func(s *server, p *proxy){
	"killed and restarted empty": func(s *server, _ *proxy) {
		s.kill()
		time.Sleep(outage)
		if !s.restart() {
			s.t.Error("redis-server does not start again")
		}
	},
	"stopped": func(s *server, _ *proxy) {
		s.stop()
		time.Sleep(outage)
		s.proceed()
	},
	"slow by 2 s": func(_ *server, p *proxy) {
		p.slow(2 * time.Second)
		time.Sleep(outage)
		p.slow(0)
	},
	"refusing": func(_ *server, p *proxy) {
		p.refuse()
		time.Sleep(outage)
		p.accept()
	},
	"read-only": func(s *server, _ *proxy) {
		s.do("REPLICAOF", "127.0.0.1", "1") // nobody is there
		time.Sleep(outage)
		s.do("REPLICAOF", "NO", "ONE")
	},
	"out of memory": func(s *server, _ *proxy) {
		s.do("CONFIG", "SET", "maxmemory", "1")
		time.Sleep(outage)
		s.do("CONFIG", "SET", "maxmemory", "0")
	},
	"FLUSHALL in a loop": func(s *server, _ *proxy) {
		s.repeat(500*time.Millisecond, "FLUSHALL")
	},
}

// harmless are faults that cost no call.
var harmless = map[string]func(s *server, p *proxy){
	"FLUSHALL": func(s *server, _ *proxy) {
		s.do("FLUSHALL")
		time.Sleep(outage)
	},
	"SCRIPT FLUSH in a loop": func(s *server, _ *proxy) {
		s.repeat(5*time.Millisecond, "SCRIPT", "FLUSH")
	},
}

// repeat sends a command again and again, for the time of an outage.
func (s *server) repeat(pause time.Duration, args ...any) {
	for began := time.Now(); time.Since(began) < outage; time.Sleep(pause) {
		s.do(args...)
	}
}

// Whatever befalls the server, no caller fails who asks for a room that has a token, or for
// one that the issuer gives a token; and then all hand out one token per room again, also
// after another renewal.
func TestTheStoresTroubleCostsNoToken(t *testing.T) {
	t.Parallel()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startRedis(t)
			p := startProxy(t, s.addr)
			f := newFleet(t, lifetime, p.addr)
			f.brief()
			f.outlive(func() { fault(s, p) })
			if name == "FLUSHALL in a loop" { // it answers
				return
			}
			for _, p := range f.workers {
				s := p.stats()
				if down, up := s.count(roomtoken.EventStoreDown), s.count(roomtoken.EventStoreUp); down < 1 || up != down || s.StoreDown {
					t.Errorf("%s: the store was down %d times, and up again %d times", p.name, down, up)
				}
			}
		})
	}
}

// A store that loses its records, or its scripts, costs no call: the first process whose
// renewal is due makes it, and the others adopt what that brings.
func TestAStoreThatForgetsCostsNoCall(t *testing.T) {
	t.Parallel()
	for name, fault := range harmless {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startRedis(t)
			f := newFleet(t, 2*lifetime, s.addr)
			f.outlive(func() { fault(s, nil) })
			f.once(rooms(warm)...)
		})
	}
}

// brief lets neither the store nor a call take long, so that a fault is noticed.
func (f *fleet) brief() {
	f.settings.CallTimeout, f.settings.StoreTimeout = 2*time.Second, 500*time.Millisecond
}

// once checks that each room was created once, and renewed with each refresh token once.
func (f *fleet) once(rooms ...string) {
	f.Helper()
	if creates, _ := f.issuer.calls(rooms...); creates != len(rooms) {
		f.Errorf("%d creates for %d rooms", creates, len(rooms))
	}
	if twice := f.issuer.spentTwice(); len(twice) > 0 {
		f.Errorf("refresh tokens were spent twice, of %q", twice)
	}
}

// warm is how many rooms have a token when something breaks.
const warm = 10

// outlive starts three workers, breaks something while there is traffic, and checks what is
// promised.
func (f *fleet) outlive(fault func()) {
	f.Helper()
	f.startAll(3)
	warm := rooms(warm)
	before := f.converge(nil, warm...)
	for _, p := range f.workers {
		call[struct{}](p, "Traffic", Customers{Name: p.name, Rooms: warm})
	}
	time.Sleep(time.Second)
	creates, refreshes := f.issuer.calls(warm...)
	var failures []uint64
	for _, p := range f.workers {
		failures = append(failures, p.stats().StoreFailures)
	}
	fault()
	during, again := f.issuer.calls(warm...)
	mended := time.Now()
	after := f.converge(before, warm...)
	took := time.Since(mended)
	f.converge(after, warm...)
	for i, p := range f.workers {
		r := p.quiet()
		s := p.stats()
		f.Logf("%s: %d hits, %d new rooms, the longest took %v; %d lapses, %d failures of the store, events %v",
			p.name, r.Hits, r.Cold, r.Longest, s.Lapses, s.StoreFailures-failures[i], s.Events)
		if r.Longest > 2*f.settings.StoreTimeout+late {
			f.Errorf("%s: a caller of a new room waited for %v, want at most twice %v", p.name, r.Longest, f.settings.StoreTimeout)
		}
	}
	f.Logf("%d creates and %d refreshes during the fault; one token per room %v after it", during-creates, again-refreshes, took)
}
