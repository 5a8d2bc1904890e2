package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out, 2000, 300*time.Millisecond, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`building +2000 rooms`, `memory +\d`, `renewed +\d+ times`, `hits +\d+, median`, `cold rooms +\d+, median`, `forgotten +in`,
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
