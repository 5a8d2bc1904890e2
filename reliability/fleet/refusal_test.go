package fleet_test

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// What is refused is known everywhere within a second after Invalidate has returned, and to a
// process that was cut off when it was told as soon as that reaches the store again. No other
// test runs meanwhile: a second is not much on a busy machine.
func TestARefusalReachesAll(t *testing.T) {
	s := startRedis(t)
	p := startProxy(t, s.addr)
	f := newFleet(t, time.Hour, s.addr)
	f.brief()
	f.startAll(3)
	f.settings.Addrs = []string{p.addr}
	cut := f.start()
	all := rooms(5)
	refused := f.converge(nil, all...)
	p.refuse()
	f.eventually("it notices that it is cut off", func() bool { return cut.stats().StoreDown })

	f.issuer.refuseWith(func(string) (int, time.Duration) { return http.StatusInternalServerError, 0 })
	for i, room := range all {
		call[[]answer](f.workers[0], "Invalidate", Refusal{Room: room, Token: refused[i]})
	}
	told := time.Now()
	time.Sleep(time.Second)
	for _, p := range f.workers[:3] {
		if got := call[[]string](p, "Cached", all); slices.ContainsFunc(got, func(token string) bool { return token != "" }) {
			t.Errorf("%s: %v after it was refused it still has %q", p.name, time.Since(told), got)
		}
	}
	if got := call[[]string](cut, "Cached", all); !slices.Equal(got, refused) {
		t.Errorf("the process that is cut off has %q", got)
	}
	p.accept()
	f.eventually("the process that was cut off knows", func() bool {
		got := call[[]string](cut, "Cached", all)
		return !slices.ContainsFunc(got, func(token string) bool { return token != "" })
	})
	f.issuer.refuseWith(nil)
	for i, token := range f.same(all...) {
		if token == refused[i] {
			t.Errorf("room %q: a token that was refused came back", all[i])
		}
	}
}

// A hundred refusals of one token, on eight processes, cost one create.
func TestAHundredRefusalsCostOneCreate(t *testing.T) {
	t.Parallel()
	f := newFleet(t, time.Hour, startRedis(t).addr)
	f.startAll(8)
	refused := f.same("a")[0]
	for i, answers := range callAll[[]answer](f, "Invalidate", Refusal{Room: "a", Token: refused, Callers: 13}) {
		for _, got := range answers {
			if got.Err != "" || got.Token == refused {
				t.Errorf("worker %d: got %q, %s", i, got.Token, got.Err)
			}
		}
	}
	f.same("a")
	if creates, refreshes := f.issuer.calls("a"); creates != 2 || refreshes != 0 {
		t.Errorf("%d creates and %d refreshes, want one create after the refusals", creates-1, refreshes)
	}
}

// A server that refuses each token meets the backoff of one process, however many there are.
func TestAServerThatRefusesEverything(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	f := newFleet(t, time.Hour, s.addr)
	f.settings.Prefix = "alone:"
	alone := f.start()
	f.workers = nil
	f.settings.Prefix = "together:"
	f.startAll(8)
	done := begin[struct{}](alone, "RefuseAll", "of one")
	callAll[struct{}](f, "RefuseAll", "of eight")
	done.wait()
	one, _ := f.issuer.calls("of one")
	eight, _ := f.issuer.calls("of eight")
	if one < 3 || eight > one*3/2+1 {
		t.Errorf("%d creates of eight processes, %d of one", eight, one)
	}
}

// A rate limit stops all processes, and the first answer after it opens all.
func TestARateLimitHoldsAll(t *testing.T) {
	t.Parallel()
	f := newFleet(t, time.Hour, startRedis(t).addr)
	f.startAll(8)
	f.same("warm")
	const hold = 8 * time.Second
	f.issuer.refuseWith(func(string) (int, time.Duration) { return http.StatusTooManyRequests, hold })
	began := time.Now()
	first := f.workers[0].ask("a")
	f.issuer.await(t, "a", 1)
	f.eventually("all are held", func() bool {
		return !slices.ContainsFunc(f.workers, func(p *process) bool { return !p.stats().RateLimited })
	})
	if took := time.Since(began); took > time.Second+late {
		t.Errorf("all were held after %v, want a second", took)
	}
	f.issuer.refuseWith(nil)
	all := rooms(8)
	var waiting []*asking
	for i, p := range f.workers {
		waiting = append(waiting, p.ask(all[i]))
	}
	time.Sleep(hold - time.Since(began) - 500*time.Millisecond)
	if creates, _ := f.issuer.calls(append(all, "a")...); creates != 1 {
		t.Errorf("%d calls in the hold", creates-1)
	}
	for i, p := range f.workers {
		p.served(waiting[i], all[i])
	}
	f.workers[0].served(first, "a")
	if took := time.Since(began); took < hold || took > hold*11/10+time.Second+late {
		t.Errorf("all were served after %v, want a hold of %v, a tenth of it, and a second", took, hold)
	}
}

// That a room does not exist is found out once for each step of the backoff, and told to the
// callers of all processes.
func TestARoomThatDoesNotExist(t *testing.T) {
	t.Parallel()
	f := newFleet(t, time.Hour, startRedis(t).addr)
	f.startAll(8)
	f.same("warm")
	f.issuer.refuseWith(func(room string) (int, time.Duration) {
		if room == "none" {
			return http.StatusNotFound, 0
		}
		return 0, 0
	})
	began := time.Now()
	for i, answers := range callAll[[]answer](f, "Tokens", Ask{Rooms: []string{"none"}, Callers: 10}) {
		for _, got := range answers {
			if !got.Permanent || !got.NotFound {
				t.Errorf("worker %d: %+v", i, got)
			}
		}
	}
	creates, _ := f.issuer.calls("none")
	most := 1
	for step := time.Second; time.Since(began) > step; step = 2*step + time.Second {
		most++
	}
	if creates > most {
		t.Errorf("%d calls in %v, want at most %d", creates, time.Since(began), most)
	}
}
