package main

import (
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/bench/internal/hist"
	"github.com/roomtoken/roomtoken/bench/internal/roomid"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	b := benchmark{
		out: &out, ids: roomid.New(2000), steady: 300 * time.Millisecond, lifetime: 10 * time.Second, minPhase: 500 * time.Millisecond,
	}
	if err := b.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`building +2000 rooms`, `memory +\d`, `renewed +\d+ tokens`, `staggered +\d`, `hits +\d+ calls: median \d`,
		`cold rooms +\d+ calls: median \d`, `forgotten +in`, `all warmed +\d`, `all due +\d`, `all expired +\d`, `left +\d+ rooms`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-rooms", "0"}, {"-lifetime", "1s"}, {"-for", "soon"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestPercentiles(t *testing.T) {
	var h hist.Hist
	for _, d := range []time.Duration{3, 1, 2} {
		h.Add(d)
	}
	if got := percentiles(&h); got != "3 calls: median 2ns, 99 % 3ns, 99.9 % 3ns, worst 3ns" {
		t.Error(got)
	}
}
