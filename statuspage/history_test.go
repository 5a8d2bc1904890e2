package statuspage

import (
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
)

// A sample has what was counted since the sample before, and how things stood.
func TestHistoryHasDifferences(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		if h := w.document("")["history"].([]any); len(h) != 0 {
			t.Fatalf("history at first: %v, want none", h)
		}
		began := time.Now()
		w.src.Latency = 40 * time.Millisecond
		w.ask("a", "b", "c")
		w.pass(10 * time.Second)
		w.src.Fail(errDown, 2)
		w.ask("d") // tried once within 100 ms
		w.pass(10 * time.Second)
		w.pass(10 * time.Second)

		history := objects(t, w.document(""), "history")
		if len(history) != 3 {
			t.Fatalf("%d samples after 30 s, want 3", len(history))
		}
		nothing := object{
			"creates": 0.0, "create_failures": 0.0, "refreshes": 0.0, "refresh_failures": 0.0, "misses": 0.0, "lapses": 0.0,
			"call_p50_ms": 0.0, "call_p99_ms": 0.0, "wait_p99_ms": 0.0, "held": false,
		}
		for i, want := range []object{
			{"at": began.Add(10 * time.Second), "creates": 3.0, "misses": 3.0, "rooms": 3.0, "call_p50_ms": 50.0, "call_p99_ms": 50.0, "wait_p99_ms": 50.0},
			{"at": began.Add(20 * time.Second), "creates": 1.0, "create_failures": 1.0, "misses": 1.0, "rooms": 4.0, "call_p50_ms": 50.0, "call_p99_ms": 50.0, "wait_p99_ms": 50.0},
			{"at": began.Add(30 * time.Second), "rooms": 4.0},
		} {
			want["at"] = want["at"].(time.Time).UTC().Format(time.RFC3339Nano)
			for name, value := range history[i] {
				expected, set := want[name]
				if !set {
					expected = nothing[name]
				}
				if name != "states" && value != expected {
					t.Errorf("sample %d: %s = %v, want %v", i, name, value, expected)
				}
			}
			states := history[i]["states"].(object)
			if states["valid"] != 3.0 || i > 0 && states["failing"] != 1.0 || len(states) != len(severity)-1 {
				t.Errorf("sample %d: states = %v", i, states)
			}
		}
	})
}

// What was before the page was made is no part of its history.
func TestHistoryBeginsWithThePage(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		w.ask("a", "b")
		page, err := New(w.m, Config{Authorize: Anyone})
		if err != nil {
			t.Fatal(err)
		}
		defer page.Close()
		w.pass(10 * time.Second)
		if h := page.history.all(); len(h) != 1 || h[0].Creates != 0 || h[0].CallP50 != 0 || h[0].Rooms != 2 {
			t.Errorf("history = %+v, want two rooms and no call", h)
		}
	})
}

// Renewals, and rooms in use that were without a token, are in the history.
func TestHistoryOfAnOutage(t *testing.T) {
	within(t, Config{Every: time.Minute}, func(t *testing.T, w *world) {
		w.ask("r")
		w.pass(5 * time.Minute)
		w.src.Fail(errDown, -1)
		w.pass(10 * time.Minute)
		w.src.Clear()
		w.pass(5 * time.Minute)
		sums := map[string]float64{}
		var held, failing []bool
		for _, s := range objects(t, w.document(""), "history") {
			for _, name := range []string{"creates", "create_failures", "refreshes", "refresh_failures", "misses", "lapses"} {
				sums[name] += s[name].(float64)
			}
			held = append(held, s["held"].(bool))
			failing = append(failing, s["states"].(object)["failing"] == 1.0)
		}
		stats := w.m.Stats()
		for name, want := range map[string]uint64{
			"creates": stats.Creates, "create_failures": stats.CreateFailures, "refreshes": stats.Refreshes, "refresh_failures": stats.RefreshFailures,
			"misses": stats.Misses, "lapses": stats.Lapses,
		} {
			if sums[name] != float64(want) {
				t.Errorf("the sum of %s is %v, Stats has %d", name, sums[name], want)
			}
		}
		if stats.Lapses != 1 || stats.CreateFailures == 0 || stats.RefreshFailures == 0 {
			t.Errorf("the outage left no trace: %+v", stats)
		}
		if !slices.Contains(held, true) || held[0] || held[len(held)-1] {
			t.Errorf("held = %v, want it during the outage", held)
		}
		if !slices.Contains(failing, true) || failing[0] || failing[len(failing)-1] {
			t.Errorf("failing = %v, want it during the outage", failing)
		}
	})
}

// The history keeps the latest samples, an hour of them.
func TestHistoryIsAnHour(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		began := time.Now()
		w.pass(time.Hour)
		history := w.page.history.all()
		if n := len(history); n != 360 || !time.Time(history[0].At).Equal(began.Add(10*time.Second)) {
			t.Errorf("%d samples after an hour, the first of %v", n, time.Time(history[0].At))
		}
		w.ask("r")
		w.pass(12*time.Minute + 5*time.Second)
		history = w.page.history.all()
		for i, s := range history {
			at := began.Add(12*time.Minute + time.Duration(i+1)*10*time.Second)
			if !time.Time(s.At).Equal(at) || (s.Creates > 0) != at.Equal(began.Add(time.Hour+10*time.Second)) {
				t.Fatalf("sample %d of %d: %+v, want it at %v", i, len(history), s, at)
			}
		}
		if n := len(history); n != 360 {
			t.Errorf("%d samples after 72 minutes, want 360", n)
		}
	})
}

// goroutines returns how many goroutines are in a function.
func goroutines(function string) int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), function+"(")
}

// samplers returns how many goroutines take samples.
func samplers() int { return goroutines("(*Page).sample") }

// Close ends the sampling before it returns.
func TestCloseEndsTheSampling(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		synctest.Wait()
		if n := samplers(); n != 1 {
			t.Errorf("%d goroutines take samples, want 1", n)
		}
		w.pass(25 * time.Second)
		w.page.Close()
		if n := samplers(); n != 0 {
			t.Errorf("%d goroutines take samples after Close", n)
		}
		w.pass(time.Minute)
		if n := len(w.page.history.all()); n != 2 {
			t.Errorf("%d samples, want the 2 before Close", n)
		}
		w.page.Close()
	})
}

// Close waits for a sample that is being taken.
func TestCloseWaitsForTheSampling(t *testing.T) {
	within(t, Config{}, func(t *testing.T, w *world) {
		w.page.history.mu.Lock()
		time.Sleep(10 * time.Second)
		for goroutines("(*history).add") == 0 {
			runtime.Gosched()
		}
		var returned atomic.Bool
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			w.page.Close()
			returned.Store(true)
		}()
		for goroutines("(*WaitGroup).Wait") == 0 && !returned.Load() {
			runtime.Gosched()
		}
		if returned.Load() {
			t.Error("Close returned while a sample was being taken")
		}
		w.page.history.mu.Unlock()
		<-closed
	})
}

// The sampling ends within Every of Manager.Close, without a sample of the closed Manager.
func TestManagerCloseEndsTheSampling(t *testing.T) {
	within(t, Config{Every: time.Minute}, func(t *testing.T, w *world) {
		w.ask("r")
		w.pass(90 * time.Second)
		if err := w.m.Close(); err != nil {
			t.Error(err)
		}
		w.pass(time.Minute)
		if n := samplers(); n != 0 {
			t.Errorf("%d goroutines take samples a minute after the Manager's Close", n)
		}
		if history := w.page.history.all(); len(history) != 1 || history[0].Rooms != 1 {
			t.Errorf("history = %+v, want the sample before Close", history)
		}
	})
}

func TestQuantile(t *testing.T) {
	bounds := roomtoken.HistogramBounds()
	of := func(counts map[int]uint64) durations { // by bucket; 18: beyond the last bound
		var d durations
		for i, n := range counts {
			d.Count += n
			if i < len(d.Buckets) {
				d.Buckets[i] = n
			}
		}
		return d
	}
	for _, test := range []struct {
		counts   map[int]uint64
		p50, p99 time.Duration
	}{
		{nil, 0, 0},
		{map[int]uint64{0: 1}, bounds[0], bounds[0]},
		{map[int]uint64{3: 1, 4: 1}, bounds[3], bounds[4]},
		{map[int]uint64{3: 1, 4: 2}, bounds[4], bounds[4]},
		{map[int]uint64{0: 99, 17: 1}, bounds[0], bounds[0]},
		{map[int]uint64{0: 98, 17: 2}, bounds[0], bounds[17]},
		{map[int]uint64{0: 198, 17: 2}, bounds[0], bounds[0]},
		{map[int]uint64{0: 197, 17: 3}, bounds[0], bounds[17]},
		{map[int]uint64{18: 5}, bounds[17], bounds[17]},
		{map[int]uint64{5: 1, 18: 1}, bounds[5], bounds[17]},
	} {
		d := of(test.counts)
		if p50, p99 := d.quantile(50), d.quantile(99); p50 != test.p50 || p99 != test.p99 {
			t.Errorf("%v: p50 %v, p99 %v; want %v, %v", test.counts, p50, p99, test.p50, test.p99)
		}
	}
}

// The quantiles of calls are those of all calls, whatever they were and how they ended.
func TestCallQuantilesCountAllCalls(t *testing.T) {
	var before, now roomtoken.Stats
	for i, h := range []*roomtoken.Histogram{&now.CreateTimes, &now.CreateFailureTimes, &now.RefreshTimes, &now.RefreshFailureTimes} {
		h.Count, h.Buckets[i] = 10, 10
	}
	before.CreateTimes = now.CreateTimes // these were before
	now.Waits.Count, now.Waits.Buckets[7] = 1, 1
	s := newSample(noon, before, now)
	bounds := roomtoken.HistogramBounds()
	if got := []time.Duration{time.Duration(s.CallP50), time.Duration(s.CallP99), time.Duration(s.WaitP99)}; !slices.Equal(got, []time.Duration{bounds[2], bounds[3], bounds[7]}) {
		t.Errorf("p50, p99 of calls, p99 of waits: %v", got)
	}
}

func TestHeld(t *testing.T) {
	for _, test := range []struct {
		stats roomtoken.Stats
		want  bool
	}{
		{roomtoken.Stats{}, false},
		{roomtoken.Stats{HeldUntil: noon, RateLimited: true}, true},
		{roomtoken.Stats{HeldUntil: noon, Probing: true}, true},
		{roomtoken.Stats{Probing: true}, true}, // the probe is in flight
	} {
		if got := newSample(noon, roomtoken.Stats{}, test.stats).Held; got != test.want {
			t.Errorf("held = %v with %+v", got, test.stats)
		}
	}
}
