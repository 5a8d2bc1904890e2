package roomtoken

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"
)

func TestHistogramBounds(t *testing.T) {
	var want []time.Duration
	for _, text := range []string{
		"1ms", "2.5ms", "5ms", "10ms", "25ms", "50ms", "100ms", "250ms", "500ms",
		"1s", "2.5s", "5s", "10s", "30s", "1m", "2m", "5m", "15m",
	} {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, d)
	}
	got := HistogramBounds()
	if !slices.Equal(got[:], want) || !slices.IsSorted(got[:]) {
		t.Errorf("HistogramBounds() = %v, want %v", got, want)
	}
	got[0] = 0
	if HistogramBounds()[0] != time.Millisecond {
		t.Error("HistogramBounds() returned the bounds themselves, want a copy")
	}
}

// A bound belongs to the bucket that it ends.
func TestHistogramObserve(t *testing.T) {
	bounds := HistogramBounds()
	check := func(d time.Duration, bucket int) {
		t.Helper()
		var h Histogram
		h.observe(d)
		want := Histogram{Count: 1, Sum: max(d, 0)}
		if bucket < len(want.Buckets) {
			want.Buckets[bucket] = 1
		}
		if h != want {
			t.Errorf("observe(%v) = %+v, want bucket %d", d, h, bucket)
		}
	}
	check(-1, 0)
	check(0, 0)
	for i, bound := range bounds {
		check(bound-1, i)
		check(bound, i)
		check(bound+1, i+1)
	}
	check(math.MaxInt64, len(bounds))

	var all Histogram
	for _, d := range []time.Duration{time.Millisecond, time.Millisecond, time.Second, time.Hour} {
		all.observe(d)
	}
	want := Histogram{Count: 4, Sum: time.Hour + time.Second + 2*time.Millisecond}
	want.Buckets[0], want.Buckets[9] = 2, 1
	if all != want {
		t.Errorf("after four durations: %+v, want %+v", all, want)
	}
	all.observe(math.MaxInt64)
	if all.Sum != math.MaxInt64 || all.Count != 5 {
		t.Errorf("after the longest duration: %+v, want the sum to stay there", all)
	}
}

func TestHistogramMarshals(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{2 * time.Millisecond, 3 * time.Minute, time.Hour} {
		h.observe(d)
	}
	got, err := json.Marshal(h)
	if want := `{"count":3,"sum":"1h3m0.002s","buckets":{"2.5ms":1,"5m0s":1}}`; err != nil || string(got) != want {
		t.Errorf("JSON = (%s, %v), want %s", got, err, want)
	}
	got, err = json.Marshal(Histogram{})
	if want := `{"count":0,"sum":"0s"}`; err != nil || string(got) != want {
		t.Errorf("JSON of none = (%s, %v), want %s", got, err, want)
	}
	if got, ok := memberValue([RoomStuck + 1]int{RoomValid: 3}); !ok {
		t.Error("the rooms by state are left out")
	} else if text, err := json.Marshal(got); err != nil || string(text) != `{"empty":0,"valid":3,"retrying":0,"idle":0,"failing":0,"failed":0,"stuck":0}` {
		t.Errorf("JSON of the rooms by state = (%s, %v), want each state by name", text, err)
	}
}
