package main

import (
	"fmt"
	"slices"
	"time"
)

// latencies is how long each of many calls took. It is for one goroutine.
type latencies struct{ all []time.Duration }

// measure times a call.
func (l *latencies) measure(call func()) {
	begun := time.Now()
	call()
	l.all = append(l.all, time.Since(begun))
}

// String returns the percentiles that matter.
func (l *latencies) String() string {
	if len(l.all) == 0 {
		return "none"
	}
	slices.Sort(l.all)
	at := func(share float64) time.Duration { return l.all[int(share*float64(len(l.all)-1))] }
	return fmt.Sprintf("%d, median %v, 99 %% %v, 99.9 %% %v, worst %v", len(l.all), at(0.5), at(0.99), at(0.999), at(1))
}
