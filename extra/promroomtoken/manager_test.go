package promroomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/promroomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// What a Manager does is what its metrics say.
func TestMetricsOfAManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &roomtokentest.Source{Latency: 30 * time.Millisecond}
		manager := newManager(t, source)
		collector := promroomtoken.NewCollector(manager)
		check := func(when string, want ...string) {
			t.Helper()
			got := exposition(t, collector)
			for _, line := range want {
				if !strings.Contains(got, "\nroomtoken_"+line+"\n") {
					t.Errorf("%s: there is no %s", when, line)
				}
			}
		}
		check("at first", `rooms{state="valid"} 0`, `rooms{state="stuck"} 0`, `calls_total{call="refresh"} 0`,
			`held_until_timestamp_seconds 0`)

		if _, err := manager.Token(t.Context(), "lobby"); err != nil {
			t.Fatal(err)
		}
		check("after a create",
			`rooms{state="valid"} 1`, `calls_total{call="create"} 1`, `misses_total 1`,
			`call_duration_seconds_bucket{call="create",outcome="ok",le="0.025"} 0`,
			`call_duration_seconds_bucket{call="create",outcome="ok",le="0.05"} 1`,
			`call_duration_seconds_bucket{call="create",outcome="ok",le="900"} 1`,
			`call_duration_seconds_bucket{call="create",outcome="ok",le="+Inf"} 1`,
			`call_duration_seconds_sum{call="create",outcome="ok"} 0.03`,
			`wait_duration_seconds_count 1`, `renewal_slack_seconds_count 0`)

		tok, _ := manager.Cached("lobby")
		manager.Invalidate("lobby", tok)
		source.Next(roomtokentest.Outcome{Err: roomtoken.RetryAfter(roomtoken.ErrRateLimited, 5*time.Minute)})
		if _, err := manager.Token(t.Context(), "lobby"); err == nil {
			t.Error("there is a token")
		}
		check("while it is rate limited",
			`rooms{state="valid"} 0`, `calls_total{call="create"} 2`, `invalidations_total 1`,
			`call_duration_seconds_count{call="create",outcome="error"} 1`, `wait_failures_total 1`, `rate_limited 1`,
			fmt.Sprintf("held_until_timestamp_seconds %v", float64(manager.Stats().HeldUntil.UnixMilli())/1000))

		manager.Close()
		check("after Close", `rooms{state="empty"} 0`, `rooms{state="failing"} 0`, `calls_total{call="create"} 2`)
	})
}

// The number of series, their labels and the work of a scrape do not depend on the rooms.
func TestSeriesAreFew(t *testing.T) {
	few, many := newManager(t, &roomtokentest.Source{}), newManager(t, &roomtokentest.Source{})
	for i := range 10_000 {
		if _, err := many.Token(t.Context(), fmt.Sprint("room ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := few.Token(t.Context(), "room 1"); err != nil {
		t.Fatal(err)
	}

	var series [2][]string
	var allocations [2]float64
	for i, manager := range []*roomtoken.Manager{few, many} {
		collector := promroomtoken.NewCollector(manager)
		for line := range strings.Lines(exposition(t, collector)) {
			if !strings.HasPrefix(line, "#") {
				series[i] = append(series[i], line[:strings.LastIndexByte(line, ' ')])
			}
		}
		if n := len(series[i]); n > 200 {
			t.Fatalf("a Manager has %d series, want at most 200", n)
		}
		metrics := make(chan prometheus.Metric, 200)
		allocations[i] = testing.AllocsPerRun(100, func() {
			collector.Collect(metrics)
			for len(metrics) > 0 {
				<-metrics
			}
		})
	}
	if !slices.Equal(series[0], series[1]) {
		t.Error("the series depend on the rooms")
	}
	if diff := allocations[1] - allocations[0]; diff < -1 || diff > 1 {
		t.Errorf("a scrape allocates %v times with one room and %v with 10,000", allocations[0], allocations[1])
	}
}

// The metrics hold nothing that a room, a token or an error brings along.
func TestNoCanary(t *testing.T) {
	const canary = "canary-47"
	source := &roomtokentest.Source{}
	source.CreateFunc = func(_ context.Context, room string) (roomtoken.Grant, error) {
		if strings.HasSuffix(room, "!") {
			return roomtoken.Grant{}, roomtoken.Permanent(errors.New(canary))
		}
		g := source.Mint(room)
		g.Token.Value = roomtoken.NewSecret(canary)
		return g, nil
	}
	manager := newManager(t, source)
	for _, room := range []string{canary, canary + "!"} {
		_, _ = manager.Token(t.Context(), room)
	}
	got := exposition(t, promroomtoken.NewCollector(manager))
	if !strings.Contains(got, `roomtoken_rooms{state="failed"} 1`) || strings.Contains(got, canary) {
		t.Error(got)
	}
}

// A collector reads; it hangs on nothing that a hit touches.
func TestHitCostsNothingMore(t *testing.T) {
	manager := newManager(t, &roomtokentest.Source{})
	collector := promroomtoken.NewCollector(manager)
	exposition(t, collector)
	hit := func() {
		if _, err := manager.Token(t.Context(), "lobby"); err != nil {
			t.Error(err)
		}
	}
	hit()
	if n := testing.AllocsPerRun(1000, hit); n != 0 {
		t.Errorf("a hit allocates %v times, want 0", n)
	}
}

// Scrapes during calls see histograms that are consistent.
func TestScrapesInParallel(t *testing.T) {
	manager := newManager(t, &roomtokentest.Source{})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(promroomtoken.NewCollector(manager))
	var scrapers sync.WaitGroup
	for range 2 {
		scrapers.Go(func() {
			for range 200 {
				for _, family := range gather(t, registry) {
					for _, m := range family.GetMetric() {
						checkBuckets(t, family.GetName(), m.GetHistogram())
					}
				}
			}
		})
	}
	for i := range 2000 {
		_, _ = manager.Token(t.Context(), fmt.Sprint(i))
	}
	scrapers.Wait()
}

func checkBuckets(t *testing.T, name string, h *dto.Histogram) {
	t.Helper()
	var below uint64
	for _, b := range h.GetBucket() {
		if b.GetCumulativeCount() < below {
			t.Errorf("%s: the buckets are not cumulative: %v", name, h)
		}
		below = b.GetCumulativeCount()
	}
	if h.GetSampleCount() < below {
		t.Errorf("%s: more in the buckets than the count: %v", name, h)
	}
}
