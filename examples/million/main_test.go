package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	p := play{out: &out, rooms: 2000, keep: 300 * time.Millisecond, lifetime: 10 * time.Second, linger: 500 * time.Millisecond}
	if err := p.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`building +2000 rooms`, `memory +\d`, `renewed +\d+ times`, `one by one +in`, `hits +\d+, median`, `cold rooms +\d+, median`, `forgotten +in`,
		`all warmed +in`, `all due +in`, `all expired +in`, `left +\d+ rooms`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
}

func TestLatencies(t *testing.T) {
	l := latencies{all: []time.Duration{3, 1, 2}}
	if got := l.String(); got != "3, median 2ns, 99 % 2ns, 99.9 % 2ns, worst 3ns" {
		t.Error(got)
	}
	if got := (&latencies{}).String(); got != "none" {
		t.Error(got)
	}
}
