package statuspage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// chart is a drawing of the history, a step per sample, with the latest one at the right
// edge.
type chart struct {
	Title    string
	Summary  string // the chart in words
	Legend   []mark
	Grid     []gridline
	Shapes   []shape // from back to front
	From, To string  // the times of the edges; "": there is no sample
}

// mark is an entry of a legend.
type mark struct{ Class, Label string }

// gridline is a horizontal line, with the value that it stands for.
type gridline struct{ Y, Label string } // Y is from the top

// shape is a path in a box of maxSamples by chartHeight.
type shape struct{ Class, Path string }

// series is a number of each sample.
type series struct {
	mark
	value func(*sample) int
}

// charts are the charts of the page.
func (v *view) charts() []chart {
	h := v.history
	charts := []chart{
		statesChart("Rooms by state", h, states),
		statesChart("Rooms in trouble", h, troubles),
		callsChart(h, v.every),
		missesChart(h, v.every),
		latencyChart("How long calls took", h,
			series{mark{"p99", "p99"}, func(s *sample) int { return bucket(s.CallP99) }},
			series{mark{"p50", "p50"}, func(s *sample) int { return bucket(s.CallP50) }}),
		latencyChart("How long callers waited", h,
			series{mark{"p99", "p99"}, func(s *sample) int { return bucket(s.WaitP99) }}),
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
		stack = append(stack, series{mark{state.String(), state.String()}, func(s *sample) (sum int) {
			for _, state := range below {
				sum += s.States[state]
			}
			return sum
		}})
	}
	c := countChart(title, history, stack)
	now := []string{}
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
	begun := series{mark{"calls", "begun"}, func(s *sample) int { return int(s.Creates + s.Refreshes) }}
	failed := series{mark{"failures", "failed"}, func(s *sample) int { return int(s.CreateFailures + s.RefreshFailures) }}
	c := countChart("Calls and failures", history, []series{begun, failed})
	c.Summary = fmt.Sprintf("%s begun, %s failed; at most %s and %s in %s", some(begun.sum(history), "call"), count(failed.sum(history)),
		count(begun.peak(history)), count(failed.peak(history)), span(every))
	return c
}

// missesChart shows how many callers found no token at once, and how many rooms in use
// were without one.
func missesChart(history []sample, every time.Duration) chart {
	misses := series{mark{"misses", "callers"}, func(s *sample) int { return int(s.Misses) }}
	lapses := series{mark{"failures", "lapses of rooms in use"}, func(s *sample) int { return int(s.Lapses) }}
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
		path := trace(history, false, func(s *sample) int { return q.value(s) * chartHeight / (len(bounds) + 1) })
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
func bucket(bound millis) int {
	bounds := roomtoken.HistogramBounds()
	return slices.Index(bounds[:], time.Duration(bound)) + 1
}

// atMost says what a number of a bucket means.
func atMost(bucket int) string {
	if bucket == 0 {
		return "none"
	}
	return "at most " + span(roomtoken.HistogramBounds()[bucket-1])
}

const (
	chartHeight = 1000
	leastHeight = 12 // of what is not zero: one room in a hundred thousand can be seen
)

// countChart shows numbers as areas from the ground up, the first one at the back.
func countChart(title string, history []sample, all []series) chart {
	c := chart{Title: title}
	top := 1
	for _, s := range all {
		top = max(top, ceiling(s.peak(history)))
	}
	for _, s := range all {
		path := trace(history, true, func(at *sample) int {
			n := s.value(at)
			if n == 0 {
				return 0
			}
			return max(int(float64(n)/float64(top)*chartHeight), leastHeight)
		})
		c.Shapes = append(c.Shapes, shape{s.Class, path})
		c.Legend = append(c.Legend, s.mark)
	}
	c.Grid = []gridline{{percent(0, 1), count(top)}}
	if top > 1 {
		c.Grid = append(c.Grid, gridline{percent(1, 2), count(top / 2)})
	}
	return c
}

// ceiling returns the least of 1, 2, 4, 6, 8, 10, 20, 40, ... that is at least n.
func ceiling(n int) int {
	for unit := 1; ; unit *= 10 {
		for _, digit := range []int{1, 2, 4, 6, 8} {
			if digit*unit >= n {
				return digit * unit
			}
		}
	}
}

func percent(part, whole int) string { return fmt.Sprintf("%.4g%%", 100*float64(part)/float64(whole)) }

// peak returns the largest number, 0 if there is none.
func (s series) peak(history []sample) (most int) {
	for i := range history {
		most = max(most, s.value(&history[i]))
	}
	return most
}

// sum returns the sum of the numbers.
func (s series) sum(history []sample) (sum int) {
	for i := range history {
		sum += s.value(&history[i])
	}
	return sum
}

// latest returns the latest sample, an empty one if there is none.
func latest(history []sample) *sample {
	if len(history) == 0 {
		return new(sample)
	}
	return &history[len(history)-1]
}

// trace returns a path of steps with those heights, interrupted where they are 0. filled:
// it encloses the area below.
func trace(history []sample, filled bool, height func(*sample) int) string {
	var b strings.Builder
	drawn := 0 // the height of the step before; 0: the path was interrupted
	end := func() {
		if drawn > 0 && filled {
			fmt.Fprintf(&b, "V%dZ", chartHeight)
		}
	}
	for i := 0; i < len(history); {
		h, from := height(&history[i]), i
		for i++; i < len(history) && height(&history[i]) == h; i++ {
		}
		x, y := maxSamples-len(history), chartHeight-h
		switch {
		case h == 0:
			end()
		case drawn > 0:
			fmt.Fprintf(&b, "V%dH%d", y, x+i)
		case filled:
			fmt.Fprintf(&b, "M%d %dV%dH%d", x+from, chartHeight, y, x+i)
		default:
			fmt.Fprintf(&b, "M%d %dH%d", x+from, y, x+i)
		}
		drawn = h
	}
	end()
	return b.String()
}
