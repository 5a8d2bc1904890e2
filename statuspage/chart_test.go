package statuspage

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// historyOf returns a history with those numbers as misses.
func historyOf(misses ...int) (history []sample) {
	for i, n := range misses {
		history = append(history, sample{At: timestamp(noon.Add(time.Duration(i) * 10 * time.Second)), Misses: uint64(n)})
	}
	return history
}

func misses(s *sample) uint64 { return s.Misses }

func missesHeight(s *sample) int { return int(s.Misses) }

func TestTrace(t *testing.T) {
	for _, test := range []struct {
		heights      []int
		filled, line string
	}{
		{nil, "", ""},
		{[]int{0, 0}, "", ""},
		{[]int{100}, "M359 1000V900H360V1000Z", "M359 900H360"},
		{[]int{100, 100, 100}, "M357 1000V900H360V1000Z", "M357 900H360"},
		{[]int{0, 100, 200, 0, 0, 50}, "M355 1000V900H356V800H357V1000ZM359 1000V950H360V1000Z", "M355 900H356V800H357M359 950H360"},
		{slices.Repeat([]int{1000}, 360), "M0 1000V0H360V1000Z", "M0 0H360"},
	} {
		history := historyOf(test.heights...)
		if got := trace(history, true, missesHeight); got != test.filled {
			t.Errorf("area of %v = %s, want %s", test.heights, got, test.filled)
		}
		if got := trace(history, false, missesHeight); got != test.line {
			t.Errorf("line of %v = %s, want %s", test.heights, got, test.line)
		}
	}
}

func TestCeiling(t *testing.T) {
	for n, want := range map[uint64]uint64{math.MaxUint64: math.MaxUint64, 0: 1, 1: 1, 2: 2, 3: 4, 5: 6, 7: 8, 9: 10, 10: 10, 11: 20, 99: 100, 100001: 200000} {
		if got := ceiling(n); got != want {
			t.Errorf("ceiling(%d) = %d, want %d", n, got, want)
		}
	}
}

// The largest number has its place on the scale, and the smallest one can be seen.
func TestCountChart(t *testing.T) {
	c := countChart("t", historyOf(0, 1, 50, 75_000), []series{{mark{"a", "b"}, misses}})
	if want := "M357 1000V988H359V63H360V1000Z"; len(c.Shapes) != 1 || c.Shapes[0] != (shape{"a", want}) {
		t.Errorf("shapes = %v, want %s", c.Shapes, want)
	}
	if want := []gridline{{"0%", "80,000"}, {"50%", "40,000"}}; !slices.Equal(c.Grid, want) {
		t.Errorf("grid = %v, want %v", c.Grid, want)
	}
	if want := []mark{{"a", "b"}}; !slices.Equal(c.Legend, want) {
		t.Errorf("legend = %v, want %v", c.Legend, want)
	}
	if c := countChart("t", historyOf(0, 1), []series{{mark{"a", "b"}, misses}}); !slices.Equal(c.Grid, []gridline{{"0%", "1"}}) {
		t.Errorf("grid = %v, want no line for half a caller", c.Grid)
	}
}

// The states stand on top of each other, the worst at the bottom and drawn last.
func TestStatesChart(t *testing.T) {
	var s sample
	s.States[roomtoken.RoomValid], s.States[roomtoken.RoomFailing], s.States[roomtoken.RoomStuck] = 4, 2, 2
	c := statesChart("t", []sample{s}, states)
	tops := map[string]int{"stuck": 2, "failed": 2, "failing": 4, "retrying": 4, "empty": 4, "valid": 8, "idle": 8}
	if len(c.Shapes) != len(tops) || c.Shapes[0].Class != "idle" || c.Shapes[6].Class != "stuck" {
		t.Errorf("shapes = %v, want all states, stuck last", c.Shapes)
	}
	for _, shape := range c.Shapes {
		if want := fmt.Sprintf("M359 1000V%dH360V1000Z", 1000-tops[shape.Class]*125); shape.Path != want {
			t.Errorf("%s: %s, want %s", shape.Class, shape.Path, want)
		}
	}
	if want := "now 2 stuck, 2 failing, 4 valid; at most 8 rooms at a time"; c.Summary != want {
		t.Errorf("summary = %q, want %q", c.Summary, want)
	}
	if c := statesChart("t", []sample{{}}, troubles); c.Summary != "now none; at most 0 rooms at a time" {
		t.Errorf("summary = %q", c.Summary)
	}
}

// The scale of durations is that of the buckets, and its lines lie where they say.
func TestLatencyChart(t *testing.T) {
	bounds := roomtoken.HistogramBounds()
	var history []sample
	for _, d := range append(bounds[:], 0) {
		history = append(history, sample{CallP99: millis(d)})
	}
	c := latencyChart("t", history, series{mark{"p99", "p99"}, func(s *sample) uint64 { return bucket(s.CallP99) }})
	var heights []string
	for part := range strings.SplitSeq(c.Shapes[0].Path, "V") {
		y, _, _ := strings.Cut(part, "H")
		heights = append(heights, y[strings.LastIndexByte(y, ' ')+1:])
	}
	for _, line := range c.Grid {
		i := slices.IndexFunc(bounds[:], func(d time.Duration) bool { return span(d) == line.Label })
		percent, err := strconv.ParseFloat(strings.TrimSuffix(line.Y, "%"), 64)
		height, err2 := strconv.Atoi(heights[i])
		if err != nil || err2 != nil || percent < float64(height)/10-0.2 || percent > float64(height)/10+0.2 {
			t.Errorf("the line for %s lies at %s, the path at %d of 1000", line.Label, line.Y, height)
		}
	}
	if len(c.Grid) != 5 || len(heights) != len(bounds) {
		t.Errorf("grid %v, path %s", c.Grid, c.Shapes[0].Path)
	}
	if want := "in the latest sample p99 none; at worst p99 more than 5 min"; c.Summary != want {
		t.Errorf("summary = %q, want %q", c.Summary, want)
	}
}

func TestCharts(t *testing.T) {
	v := &view{every: 10 * time.Second}
	for _, c := range v.charts() {
		if c.Summary != "no sample has been taken yet" || c.From != "" || c.To != "" {
			t.Errorf("%s without history: %+v", c.Title, c)
		}
	}
	v.history = []sample{
		{At: timestamp(noon), Creates: 2, Refreshes: 3, CreateFailures: 1, RefreshFailures: 1, Misses: 1, Held: true},
		{At: timestamp(noon.Add(10 * time.Second)), Refreshes: 1, Lapses: 1, Misses: 4, CallP50: millis(10 * time.Millisecond), CallP99: millis(time.Second), WaitP99: millis(time.Minute)},
	}
	summaries := map[string]string{}
	for _, c := range v.charts() {
		summaries[c.Title] = c.Summary
		if c.From != "11:00:10" || c.To != "12:00:10" {
			t.Errorf("%s: from %s to %s", c.Title, c.From, c.To)
		}
		if c.Shapes[0] != (shape{"held", "M358 1000V0H359V1000Z"}) || c.Legend[len(c.Legend)-1].Class != "held" {
			t.Errorf("%s: shapes %v, legend %v; want the hold at the back", c.Title, c.Shapes, c.Legend)
		}
	}
	for title, want := range map[string]string{
		"Rooms by state":          "now none; at most 0 rooms at a time",
		"Rooms in trouble":        "now none; at most 0 rooms at a time",
		"Calls and failures":      "6 calls begun, 2 failed; at most 5 and 2 in 10 s",
		"Callers who had to wait": "5 callers, at most 4 in 10 s; 1 lapse of rooms in use",
		"How long calls took":     "in the latest sample p99 at most 1 s, p50 at most 10 ms; at worst p99 at most 1 s, p50 at most 10 ms",
		"How long callers waited": "in the latest sample p99 at most 1 min; at worst p99 at most 1 min",
	} {
		if got := summaries[title]; got != want+"; calls were held back at times" {
			t.Errorf("%s: %s\nwant %s", title, got, want)
		}
	}
	v.history[0].Held = false
	for _, c := range v.charts() {
		if strings.Contains(fmt.Sprint(c), "held") {
			t.Errorf("%s shows a hold: %+v", c.Title, c)
		}
	}
}
