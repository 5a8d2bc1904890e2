package fleet_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Eight processes that ask for the same 1,000 rooms make 1,000 creates, and 1,000 refreshes
// in each of two renewals; no refresh token is spent twice, and all hand out the same tokens.
func TestOneCallPerRoomAndRenewal(t *testing.T) {
	t.Parallel()
	const processes, n = 8, 1000
	f := newFleet(t, 24*time.Second, startRedis(t).addr)
	f.settings.StoreTimeout, f.settings.CallTimeout = 20*time.Second, 20*time.Second
	f.startAll(processes)
	all := rooms(n)
	var asked []*asking
	for _, p := range f.workers {
		mine := slices.Clone(all)
		rand.Shuffle(n, func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
		asked = append(asked, begin[[]answer](p, "Tokens", Ask{Rooms: mine, Callers: 2}))
	}
	for _, a := range asked {
		a.wait()
	}
	f.same(all...)
	if creates, refreshes := f.issuer.calls(all...); creates != n || refreshes != 0 {
		t.Fatalf("%d creates and %d refreshes, want %d creates", creates, refreshes, n)
	}
	for generation := range 2 {
		f.eventually("the renewal of all rooms", func() bool { return f.issuer.renewed(generation, all...) >= n })
	}
	f.converge(nil, all...)
	creates, refreshes := f.issuer.calls(all...)
	if first, second := f.issuer.renewed(0, all...), f.issuer.renewed(1, all...); creates != n || first != n || second != n || refreshes != 2*n {
		t.Errorf("%d creates, %d refreshes, %d and %d of them in the first two renewals, want %d of each", creates, refreshes, first, second, n)
	}
	if twice := f.issuer.spentTwice(); len(twice) > 0 {
		t.Errorf("the refresh tokens of %d rooms were spent twice", len(twice))
	}
	for _, p := range f.workers {
		if s := p.stats(); s.Lapses > 0 || s.StoreFailures > 0 {
			t.Errorf("%s: %d lapses, %d failures of the store", p.name, s.Lapses, s.StoreFailures)
		}
	}
}

// A token is never taken for younger than it is, however long the store's answer takes.
func TestAnAdoptedTokenIsNoYounger(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	p := startProxy(t, s.addr)
	f := newFleet(t, time.Minute, s.addr)
	f.start().tokens("a")
	f.settings.Addrs = []string{p.addr}
	late := f.start()
	p.slow(time.Second)
	late.tokens("a") // checks when it ends
	if creates, _ := f.issuer.calls("a"); creates != 1 {
		t.Errorf("%d creates, want that the token is adopted", creates)
	}
}
