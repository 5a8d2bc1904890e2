package statuspage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// charts are the charts of the page.
func (v *view) charts() []chart {
	h := v.history
	charts := []chart{
		statesChart("Rooms by state", h, states),
		statesChart("Rooms in trouble", h, troubles),
		callsChart(h, v.every),
		missesChart(h, v.every),
		latencyChart("How long calls took", h,
			series{mark{"p99", "p99"}, func(s *sample) uint64 { return bucket(s.CallP99) }},
			series{mark{"p50", "p50"}, func(s *sample) uint64 { return bucket(s.CallP50) }}),
		latencyChart("How long callers waited", h,
			series{mark{"p99", "p99"}, func(s *sample) uint64 { return bucket(s.WaitP99) }}),
	}
	if len(h) == 0 {
		for i := range charts {
			charts[i].Summary = "no sample has been taken yet"
		}
		return charts
	}
	holds := trace(h, true, func(s *sample) int {
		if s.Held {
			return chartHeight
		}
		return 0
	})
	last := time.Time(h[len(h)-1].At)
	for i := range charts {
		c := &charts[i]
		c.From, c.To = clockTime(last.Add(-maxSamples*v.every)), clockTime(last)
		if holds != "" {
			c.Shapes = slices.Insert(c.Shapes, 0, shape{"held", holds})
			c.Legend = append(c.Legend, mark{"held", "calls held back"})
			c.Summary += "; calls were held back at times"
		}
	}
	return charts
}

// statesChart shows how many rooms were in each of some states, on top of each other, with
// the first state at the bottom.
func statesChart(title string, history []sample, shown []roomtoken.RoomState) chart {
	var stack []series
	for i, state := range slices.Backward(shown) {
		below := shown[:i+1]
		stack = append(stack, series{mark{state.String(), state.String()}, func(s *sample) (sum uint64) {
			for _, state := range below {
				sum += uint64(s.States[state])
			}
			return sum
		}})
	}
	c := countChart(title, history, stack)
	var now []string
	for _, state := range shown {
		if n := latest(history).States[state]; n > 0 {
			now = append(now, count(n)+" "+state.String())
		}
	}
	if len(now) == 0 {
		now = []string{"none"}
	}
	c.Summary = fmt.Sprintf("now %s; at most %s at a time", strings.Join(now, ", "), some(stack[0].peak(history), "room"))
	return c
}

// callsChart shows how many calls began, and how many failed.
func callsChart(history []sample, every time.Duration) chart {
	begun := series{mark{"calls", "begun"}, func(s *sample) uint64 { return s.Creates + s.Refreshes }}
	failed := series{mark{"failures", "failed"}, func(s *sample) uint64 { return s.CreateFailures + s.RefreshFailures }}
	c := countChart("Calls and failures", history, []series{begun, failed})
	c.Summary = fmt.Sprintf("%s begun, %s failed; at most %s and %s in %s", some(begun.sum(history), "call"), count(failed.sum(history)),
		count(begun.peak(history)), count(failed.peak(history)), span(every))
	return c
}

// missesChart shows how many callers found no token at once, and how many rooms in use
// were without one.
func missesChart(history []sample, every time.Duration) chart {
	misses := series{mark{"misses", "callers"}, func(s *sample) uint64 { return s.Misses }}
	lapses := series{mark{"failures", "lapses of rooms in use"}, func(s *sample) uint64 { return s.Lapses }}
	c := countChart("Callers who had to wait", history, []series{misses, lapses})
	c.Summary = fmt.Sprintf("%s, at most %s in %s; %s of rooms in use", some(misses.sum(history), "caller"), count(misses.peak(history)), span(every),
		some(lapses.sum(history), "lapse"))
	return c
}

// latencyChart shows how long calls or waits took, on the scale of the buckets of a
// histogram.
func latencyChart(title string, history []sample, quantiles ...series) chart {
	bounds := roomtoken.HistogramBounds()
	c := chart{Title: title}
	var now, worst []string
	for _, q := range quantiles {
		path := trace(history, false, func(s *sample) int { return int(q.value(s)) * chartHeight / (len(bounds) + 1) })
		c.Shapes = append(c.Shapes, shape{q.Class, path})
		c.Legend = append(c.Legend, q.mark)
		now = append(now, q.Label+" "+atMost(q.value(latest(history))))
		worst = append(worst, q.Label+" "+atMost(q.peak(history)))
	}
	c.Summary = fmt.Sprintf("in the latest sample %s; at worst %s", strings.Join(now, ", "), strings.Join(worst, ", "))
	for i, bound := range bounds {
		switch bound {
		case 10 * time.Millisecond, 100 * time.Millisecond, time.Second, 10 * time.Second, time.Minute:
			c.Grid = append(c.Grid, gridline{percent(len(bounds)-i, len(bounds)+1), span(bound)})
		}
	}
	return c
}

// bucket returns the number of the bucket with that upper bound, from 1 on; 0: none ended.
func bucket(bound millis) uint64 {
	bounds := roomtoken.HistogramBounds()
	return uint64(slices.Index(bounds[:], time.Duration(bound)) + 1)
}

// atMost says what a number of a bucket means.
func atMost(bucket uint64) string {
	if bucket == 0 {
		return "none"
	}
	bounds := roomtoken.HistogramBounds()
	if int(bucket) == len(bounds) { // it also stands for what lies beyond
		return "more than " + span(bounds[bucket-2])
	}
	return "at most " + span(bounds[bucket-1])
}
