package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// output returns a test binary's output with the given results for a hit.
func output(ns1, ns1000 float64, allocs int) string {
	const format = `goos: linux
BenchmarkHit/rooms=1/goroutines=1/impl=floor-2         	 5112162	        40 ns/op	       0 B/op	       0 allocs/op
BenchmarkHit/rooms=1/goroutines=1/impl=roomtoken-2     	 5702480	        %v ns/op	       0 B/op	       %d allocs/op
BenchmarkHit/rooms=1000/goroutines=1/impl=floor-2      	 2480956	        50 ns/op	       0 B/op	       0 allocs/op
BenchmarkHit/rooms=1000/goroutines=1/impl=roomtoken-2  	 2328134	        %v ns/op	       0 B/op	       0 allocs/op
PASS
`
	return fmt.Sprintf(format, ns1, allocs, ns1000)
}

const telnyxOutput = `BenchmarkCreate-2     	    7710	     51835 ns/op	    9585 B/op	      81 allocs/op
BenchmarkBarePost     	   10000	     44770 ns/op	    8917 B/op	      75 allocs/op
`

const renewalsOutput = `BenchmarkRenewals/rooms=10000-2         	   99968	      5110 ns/op	     492 B/op	       9 allocs/op
`

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		name   string
		rounds []string
		fails  string // part of the error; "": none
		prints string
	}{
		{"below all targets", []string{output(44, 50, 0)}, "", "ok   1.10 (target 1.15, limit 1.40)"},
		{"one bad round of three", []string{output(44, 50, 0), output(400, 50, 0), output(44, 50, 0)}, "", "ok   1.10"},
		{"within the tolerance", []string{output(52, 50, 0)}, "", "near 1.30"},
		{"too slow", []string{output(44, 80, 0)}, "rooms=1000", "FAIL 1.60"},
		{"an allocation", []string{output(44, 50, 1)}, "allocs/op", "FAIL 1.00 (target 0.00"},
		{"nothing measured", nil, "not measured", "ok   1.16"},
	} {
		t.Run(test.name, func(t *testing.T) {
			measured := samples{}
			measured.read("telnyx", telnyxOutput)
			measured.read("renewals", renewalsOutput)
			for _, round := range test.rounds {
				measured.read("root", round)
			}
			var out strings.Builder
			err := verdict(measured, &out)
			if !strings.Contains(out.String(), test.prints) {
				t.Errorf("printed\n%swant %q in it", &out, test.prints)
			}
			switch {
			case test.fails == "" && err != nil:
				t.Error(err)
			case test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)):
				t.Errorf("error %v, want %q in it", err, test.fails)
			case test.fails != "" && test.rounds != nil && !errors.Is(err, errExceeded):
				t.Errorf("error %v, want errExceeded", err)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-nonsense"}} {
		if err := run(context.Background(), args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
