package otelroomtoken_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/otelroomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// someStats has another value in each field.
func someStats() roomtoken.Stats {
	return roomtoken.Stats{
		Rooms:           28,
		States:          [...]int{0, 1, 2, 3, 4, 5, 6, 7},
		Misses:          11,
		Creates:         12,
		CreateFailures:  13,
		Refreshes:       14,
		RefreshFailures: 15,
		Fallbacks:       16,
		Invalidations:   17,
		Evictions:       18,
		Waits:           someHistogram(500),
		WaitFailures:    19,
		Slack:           someHistogram(600),
		Lapses:          20,
		CallsInFlight:   25,
		CallsOverdue:    26,
		CallsQueued:     27,
		EventsDropped:   29,
		StoreCalls:      31,
		StoreFailures:   32,
		Adopted:         33,
		LeasesLost:      34,
		StoreDown:       true,
		ObserverPanics:  30,
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

func TestMetricsAreThoseOfStats(t *testing.T) {
	x := newTelemetry(t, otelroomtoken.NewProducerOf(someStats))
	if _, err := otelroomtoken.RegisterStats(someStats, x.options()...); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"roomtoken.adopted counter {token} {} 33",
		"roomtoken.call.active up-down {call} {} 25",
		"roomtoken.call.failures counter {call} {roomtoken.call=create} 13",
		"roomtoken.call.failures counter {call} {roomtoken.call=refresh} 15",
		"roomtoken.call.overdue up-down {call} {} 26",
		"roomtoken.call.queued up-down {call} {} 27",
		"roomtoken.calls counter {call} {roomtoken.call=create} 12",
		"roomtoken.calls counter {call} {roomtoken.call=refresh} 14",
		"roomtoken.events.dropped counter {event} {} 29",
		"roomtoken.evictions counter {room} {} 18",
		"roomtoken.fallbacks counter {call} {} 16",
		"roomtoken.hold.remaining gauge s {roomtoken.hold.reason=none} 0",
		"roomtoken.invalidations counter {token} {} 17",
		"roomtoken.lapses counter {token} {} 20",
		"roomtoken.leases.lost counter {token} {} 34",
		"roomtoken.misses counter {request} {} 11",
		"roomtoken.observer.panics counter {panic} {} 30",
		"roomtoken.renewal.slack histogram s {} 10954 16431 [600 601 602 603 604 605 606 607 608 609 610 611 612 613 614 615 616 617 1]",
		"roomtoken.rooms up-down {room} {roomtoken.room.state=empty} 1",
		"roomtoken.rooms up-down {room} {roomtoken.room.state=failed} 6",
		"roomtoken.rooms up-down {room} {roomtoken.room.state=failing} 5",
		"roomtoken.rooms up-down {room} {roomtoken.room.state=idle} 4",
		"roomtoken.rooms up-down {room} {roomtoken.room.state=retrying} 3",
		"roomtoken.rooms up-down {room} {roomtoken.room.state=stuck} 7",
		"roomtoken.rooms up-down {room} {roomtoken.room.state=valid} 2",
		"roomtoken.store.calls counter {call} {} 31",
		"roomtoken.store.down up-down {process} {} 1",
		"roomtoken.store.failures counter {call} {} 32",
		"roomtoken.wait.duration histogram s {} 9154 13731 [500 501 502 503 504 505 506 507 508 509 510 511 512 513 514 515 516 517 1]",
		"roomtoken.wait.failures counter {request} {} 19",
	}
	metrics := x.collect()
	if got := lines(metrics); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for name, m := range metrics {
		if m.Description == "" {
			t.Errorf("%s has no description", name)
		}
	}
}

// A hold is one value, with its reason.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stats roomtoken.Stats
		x := newTelemetry(t)
		if _, err := otelroomtoken.RegisterStats(func() roomtoken.Stats { return stats }, x.options()...); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			stats roomtoken.Stats
			want  string
		}{
			{roomtoken.Stats{}, "{roomtoken.hold.reason=none} 0"},
			{roomtoken.Stats{HeldUntil: time.Now().Add(90 * time.Second), RateLimited: true}, "{roomtoken.hold.reason=rate_limit} 90"},
			{roomtoken.Stats{HeldUntil: time.Now().Add(1500 * time.Millisecond), Probing: true}, "{roomtoken.hold.reason=probe} 1.5"},
			{roomtoken.Stats{HeldUntil: time.Now().Add(-time.Second), Probing: true}, "{roomtoken.hold.reason=probe} 0"},
			{roomtoken.Stats{Probing: true}, "{roomtoken.hold.reason=probe} 0"},
		} {
			stats = test.stats
			got := find(lines(x.collect()), "roomtoken.hold.remaining ")
			if want := "roomtoken.hold.remaining gauge s " + test.want; len(got) != 1 || got[0] != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

// What a Manager does is what its metrics say.
func TestMetricsOfAManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &roomtokentest.Source{Latency: 30 * time.Millisecond}
		manager := newManager(t, source)
		x := newTelemetry(t, otelroomtoken.NewProducer(manager))
		registration, err := otelroomtoken.Register(manager, x.options()...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := manager.Token(t.Context(), "lobby"); err != nil {
			t.Fatal(err)
		}
		source.Next(roomtokentest.Outcome{Err: roomtoken.RetryAfter(roomtoken.ErrRateLimited, 5*time.Minute)})
		if _, err := manager.Token(t.Context(), "attic"); !errors.Is(err, roomtoken.ErrRateLimited) {
			t.Errorf("error %v, want ErrRateLimited", err)
		}
		got := lines(x.collect())
		for _, want := range []string{
			"roomtoken.calls counter {call} {roomtoken.call=create} 2",
			"roomtoken.call.failures counter {call} {roomtoken.call=create} 1",
			"roomtoken.rooms up-down {room} {roomtoken.room.state=valid} 1",
			"roomtoken.hold.remaining gauge s {roomtoken.hold.reason=rate_limit} 300",
			"roomtoken.wait.duration histogram s {} 2 0.06 [0 0 0 0 0 2 0 0 0 0 0 0 0 0 0 0 0 0 0]",
		} {
			if !slices.Contains(got, want) {
				t.Errorf("there is no %q in\n%s", want, strings.Join(got, "\n"))
			}
		}

		if err := registration.Unregister(); err != nil {
			t.Error(err)
		}
		if got := find(lines(x.collect()), "roomtoken.calls "); len(got) != 0 {
			t.Errorf("after Unregister there is still %q", got)
		}
	})
}

// One snapshot serves all instruments of a collection, and another both histograms.
func TestOneSnapshotPerCollection(t *testing.T) {
	registered, produced := 0, 0
	x := newTelemetry(t, otelroomtoken.NewProducerOf(func() roomtoken.Stats { produced++; return someStats() }))
	_, err := otelroomtoken.RegisterStats(func() roomtoken.Stats { registered++; return someStats() }, x.options()...)
	if err != nil {
		t.Fatal(err)
	}
	if registered+produced != 0 {
		t.Errorf("registering took %d snapshots, want none", registered+produced)
	}
	x.collect()
	if registered != 1 || produced != 1 {
		t.Errorf("a collection took %d and %d snapshots, want 1 and 1", registered, produced)
	}
}

func TestProducerIsCumulative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		x := newTelemetry(t, otelroomtoken.NewProducerOf(someStats))
		for range 2 {
			time.Sleep(time.Minute)
			for name, m := range x.collect() {
				h, ok := m.Data.(metricdata.Histogram[float64])
				if !ok || h.Temporality != metricdata.CumulativeTemporality || len(h.DataPoints) != 1 {
					t.Fatalf("%s: %#v", name, m.Data)
				}
				p := h.DataPoints[0]
				if !p.StartTime.Equal(start) || !p.Time.Equal(time.Now()) {
					t.Errorf("%s: from %v to %v, want from %v to %v", name, p.StartTime, p.Time, start, time.Now())
				}
				_, hasMin := p.Min.Value()
				_, hasMax := p.Max.Value()
				if hasMin || hasMax {
					t.Errorf("%s has a minimum or a maximum", name)
				}
				var want []float64
				for _, bound := range roomtoken.HistogramBounds() {
					want = append(want, bound.Seconds())
				}
				if !slices.Equal(p.Bounds, want) || len(p.BucketCounts) != len(want)+1 {
					t.Errorf("%s: bounds %v, want %v", name, p.Bounds, want)
				}
			}
		}
	})
}

// What one producer returns is not changed by what it returns later.
func TestProducedHistogramsAreCopies(t *testing.T) {
	stats := someStats()
	p := otelroomtoken.NewProducerOf(func() roomtoken.Stats { return stats })
	counts := func() []uint64 {
		all, err := p.Produce(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all[0].Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints[0].BucketCounts
	}
	before := counts()
	stats.Waits = someHistogram(1000)
	if counts(); before[0] != 500 {
		t.Errorf("the first bucket is %d now, was 500", before[0])
	}
}

func TestAttributesAreOnEveryMetric(t *testing.T) {
	account := otelroomtoken.WithAttributes(attribute.String("account", "eu"))
	x := newTelemetry(t, otelroomtoken.NewProducerOf(someStats, account))
	if _, err := otelroomtoken.RegisterStats(someStats, append(x.options(), account)...); err != nil {
		t.Fatal(err)
	}
	source := otelroomtoken.NewSource(&roomtokentest.Source{}, append(x.options(), account)...)
	_, _ = source.Create(t.Context(), "lobby")
	all := lines(x.collect())
	for _, line := range all {
		if !strings.Contains(line, "{account=eu") {
			t.Errorf("%s lacks account=eu", line)
		}
	}
	if n := len(all); n != 31 {
		t.Errorf("%d series, want 31", n)
	}
}

func TestGlobalProvidersAreTheDefault(t *testing.T) {
	x := newTelemetry(t)
	meters, tracers := otel.GetMeterProvider(), otel.GetTracerProvider()
	otel.SetMeterProvider(x.meters)
	otel.SetTracerProvider(x.tracers)
	defer otel.SetMeterProvider(meters)
	defer otel.SetTracerProvider(tracers)

	manager := newManager(t, otelroomtoken.NewSource(&roomtokentest.Source{}, otelroomtoken.WithTracerProvider(nil)))
	if _, err := otelroomtoken.Register(manager, otelroomtoken.WithMeterProvider(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := manager.Token(t.Context(), "lobby"); err != nil {
		t.Fatal(err)
	}
	metrics := x.collect()
	if _, ok := metrics["roomtoken.calls"]; !ok {
		t.Error("the counters are not where the default is")
	}
	if _, ok := metrics["roomtoken.call.duration"]; !ok {
		t.Error("the durations are not where the default is")
	}
	x.span("roomtoken create")
}

func TestNil(t *testing.T) {
	if _, err := otelroomtoken.Register(nil); err == nil || !strings.Contains(err.Error(), "not nil") {
		t.Errorf("Register(nil): %v", err)
	}
	if source := otelroomtoken.NewSource(nil); source != nil {
		t.Errorf("NewSource(nil) is %v, want nil", source)
	}
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "nil Manager") {
			t.Errorf("NewProducer(nil) panicked with %q", text)
		}
	}()
	otelroomtoken.NewProducer(nil)
}

// A MeterProvider that creates nothing is an error for Register, and for NewSource one that
// goes to the error handler: calls go on without being measured.
func TestMeterProviderThatFails(t *testing.T) {
	if _, err := otelroomtoken.RegisterStats(someStats, otelroomtoken.WithMeterProvider(brokenMeters{})); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want that of the provider", err)
	}
	var handled []error
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { handled = append(handled, err) }))
	defer otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	source := otelroomtoken.NewSource(&roomtokentest.Source{}, otelroomtoken.WithMeterProvider(brokenMeters{}))
	if _, err := source.Create(t.Context(), "lobby"); err != nil {
		t.Error(err)
	}
	if len(handled) != 1 || !errors.Is(handled[0], errBroken) {
		t.Errorf("handled %v, want the error of the provider", handled)
	}
}

var errBroken = errors.New("no such instrument")

type brokenMeters struct{ metricnoop.MeterProvider }

func (brokenMeters) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

type brokenMeter struct{ metricnoop.Meter }

func (brokenMeter) Int64ObservableCounter(name string, _ ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return nil, fmt.Errorf("%s: %w", name, errBroken)
}

func (brokenMeter) Float64Histogram(name string, _ ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, fmt.Errorf("%s: %w", name, errBroken)
}

// Metrics are read; they hang on nothing that a hit touches.
func TestHitCostsNothingMore(t *testing.T) {
	x := newTelemetry(t)
	manager := newManager(t, otelroomtoken.NewSource(&roomtokentest.Source{}, x.options()...))
	if _, err := otelroomtoken.Register(manager, x.options()...); err != nil {
		t.Fatal(err)
	}
	hit := func() {
		if _, err := manager.Token(t.Context(), "lobby"); err != nil {
			t.Error(err)
		}
	}
	hit()
	x.collect()
	if n := testing.AllocsPerRun(1000, hit); n != 0 {
		t.Errorf("a hit allocates %v times, want 0", n)
	}
	x.span("roomtoken create") // the only one: hits have none
}
