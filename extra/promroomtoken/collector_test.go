package promroomtoken_test

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/promroomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
)

// someStats has another value in each field.
func someStats() roomtoken.Stats {
	return roomtoken.Stats{
		Rooms:               28,
		States:              [...]int{0, 1, 2, 3, 4, 5, 6, 7},
		Misses:              11,
		Creates:             12,
		CreateFailures:      13,
		Refreshes:           14,
		RefreshFailures:     15,
		Fallbacks:           16,
		Invalidations:       17,
		Evictions:           18,
		CreateTimes:         someHistogram(100),
		CreateFailureTimes:  someHistogram(200),
		RefreshTimes:        someHistogram(300),
		RefreshFailureTimes: someHistogram(400),
		Waits:               someHistogram(500),
		WaitFailures:        19,
		Slack:               someHistogram(600),
		Lapses:              20,
		Waiters:             21,
		Watchers:            22,
		LastError:           errors.New("out of order"),
		LastErrorAt:         time.Unix(23, 0),
		LastSuccessAt:       time.Unix(24, 0),
		CallsInFlight:       25,
		CallsOverdue:        26,
		CallsQueued:         27,
		HeldUntil:           time.UnixMilli(1_700_000_000_250),
		RateLimited:         true,
		Probing:             true,
		Window:              28,
		EventsDropped:       29,
		StoreCalls:          31,
		StoreFailures:       32,
		Adopted:             33,
		LeasesLost:          34,
		StoreDown:           true,
		ObserverPanics:      30,
	}
}

// someHistogram has n, n+1, and so on in its buckets, and one duration beyond.
func someHistogram(n uint64) (h roomtoken.Histogram) {
	for i := range h.Buckets {
		h.Buckets[i] = n + uint64(i)
		h.Count += h.Buckets[i]
	}
	h.Count++
	h.Sum = time.Duration(h.Count) * 1500 * time.Millisecond
	return h
}

func someHTTPStats() roomhttp.Stats {
	return roomhttp.Stats{
		Streams: 1, StreamsOpened: 2, StreamsRefused: 3, StreamsTooSlow: 4,
		TokensSent: 5, Tokens: 6, Denied: 7, Failed: 8, Rejections: 9,
	}
}

func compare(t *testing.T, collector prometheus.Collector, file string) {
	t.Helper()
	want, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	if err := testutil.CollectAndCompare(collector, want); err != nil {
		t.Error(err)
	}
}

func TestMetricsAreThoseOfStats(t *testing.T) {
	compare(t, promroomtoken.NewCollectorOf(someStats), "testdata/manager.prom")
	compare(t, promroomtoken.NewHTTPCollectorOf(someHTTPStats), "testdata/http.prom")
}

// Every field of the statistics is exported, but for these.
func TestEveryFieldIsExported(t *testing.T) {
	checkFields(t, promroomtoken.NewCollectorOf, someStats(),
		"Rooms",                             // the sum of States
		"CreateFailures", "RefreshFailures", // the counts of histograms
		"Waiters", "Watchers", "Window", // change faster than one scrapes
		"LastError", "LastErrorAt", "LastSuccessAt", // are for people
	)
	checkFields(t, promroomtoken.NewHTTPCollectorOf, someHTTPStats())
}

// checkFields reports fields that change no metric and are not left out, and the reverse.
func checkFields[S any](t *testing.T, newCollector func(func() S) prometheus.Collector, some S, left ...string) {
	t.Helper()
	zero := exposition(t, newCollector(func() (s S) { return s }))
	fields := reflect.ValueOf(some)
	for i := range fields.NumField() {
		var s S
		reflect.ValueOf(&s).Elem().Field(i).Set(fields.Field(i))
		changed := exposition(t, newCollector(func() S { return s })) != zero
		if name := fields.Type().Field(i).Name; changed == slices.Contains(left, name) {
			t.Errorf("%T.%s is exported: %v", s, name, changed)
		}
	}
}

func TestLint(t *testing.T) {
	for _, collector := range []prometheus.Collector{
		promroomtoken.NewCollectorOf(someStats),
		promroomtoken.NewHTTPCollectorOf(someHTTPStats),
	} {
		problems, err := testutil.CollectAndLint(collector)
		if err != nil {
			t.Error(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestOneSnapshotPerScrape(t *testing.T) {
	snapshots := 0
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(promroomtoken.NewCollectorOf(func() roomtoken.Stats {
		snapshots++
		return roomtoken.Stats{}
	}))
	if snapshots != 0 {
		t.Errorf("registering took %d snapshots, want none", snapshots)
	}
	gather(t, registry)
	if snapshots != 1 {
		t.Errorf("a scrape took %d snapshots, want 1", snapshots)
	}
}

func TestNil(t *testing.T) {
	for name, f := range map[string]func(){
		"nil Manager": func() { promroomtoken.NewCollector(nil) },
		"nil Handler": func() { promroomtoken.NewHTTPCollector(nil) },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, name) {
					t.Errorf("%s: panicked with %q", name, text)
				}
			}()
			f()
		}()
	}
}
