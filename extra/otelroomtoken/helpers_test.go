package otelroomtoken_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/otelroomtoken"
)

func newManager(t *testing.T, source roomtoken.TokenSource) *roomtoken.Manager {
	t.Helper()
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	return manager
}

// bubble returns a test that runs in a bubble, where waits cost no time.
func bubble(f func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}

// telemetry collects the spans and metrics of a test.
type telemetry struct {
	t        *testing.T
	recorder *tracetest.SpanRecorder
	tracers  *sdktrace.TracerProvider
	reader   *sdkmetric.ManualReader
	meters   *sdkmetric.MeterProvider
}

func newTelemetry(t *testing.T, producers ...sdkmetric.Producer) *telemetry {
	x := &telemetry{t: t, recorder: tracetest.NewSpanRecorder()}
	x.tracers = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(x.recorder))
	var opts []sdkmetric.ManualReaderOption
	for _, p := range producers {
		opts = append(opts, sdkmetric.WithProducer(p))
	}
	x.reader = sdkmetric.NewManualReader(opts...)
	x.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(x.reader))
	t.Cleanup(func() {
		_ = x.tracers.Shutdown(context.Background())
		_ = x.meters.Shutdown(context.Background())
	})
	return x
}

// options send everything to x.
func (x *telemetry) options() []otelroomtoken.Option {
	return []otelroomtoken.Option{otelroomtoken.WithTracerProvider(x.tracers), otelroomtoken.WithMeterProvider(x.meters)}
}

// span returns the only span of that name that has ended.
func (x *telemetry) span(name string) sdktrace.ReadOnlySpan {
	x.t.Helper()
	var found []sdktrace.ReadOnlySpan
	for _, span := range x.recorder.Ended() {
		if span.Name() == name {
			found = append(found, span)
		}
	}
	if len(found) != 1 {
		x.t.Fatalf("there are %d spans %q, want 1", len(found), name)
	}
	return found[0]
}

// collect returns the metrics by name.
func (x *telemetry) collect() map[string]metricdata.Metrics {
	x.t.Helper()
	var all metricdata.ResourceMetrics
	if err := x.reader.Collect(x.t.Context(), &all); err != nil {
		x.t.Fatal(err)
	}
	metrics := map[string]metricdata.Metrics{}
	for _, scope := range all.ScopeMetrics {
		if scope.Scope.Name != "github.com/roomtoken/roomtoken/extra/otelroomtoken" {
			x.t.Errorf("metrics of the scope %q", scope.Scope.Name)
		}
		for _, m := range scope.Metrics {
			if _, twice := metrics[m.Name]; twice {
				x.t.Errorf("there are two metrics %s", m.Name)
			}
			metrics[m.Name] = m
		}
	}
	return metrics
}

// lines returns the metrics as text, one value a line, sorted.
func lines(metrics map[string]metricdata.Metrics) []string {
	var lines []string
	for name, m := range metrics {
		add := func(kind string, attributes attribute.Set, value any) {
			line := fmt.Sprintf("%s %s %s {%s} %v", name, kind, m.Unit, attributes.Encoded(attribute.DefaultEncoder()), value)
			lines = append(lines, line)
		}
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			kind := "counter"
			if !data.IsMonotonic {
				kind = "up-down"
			}
			for _, p := range data.DataPoints {
				add(kind, p.Attributes, p.Value)
			}
		case metricdata.Gauge[float64]:
			for _, p := range data.DataPoints {
				add("gauge", p.Attributes, p.Value)
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				add("histogram", p.Attributes, fmt.Sprint(p.Count, p.Sum, p.BucketCounts))
			}
		default:
			lines = append(lines, fmt.Sprintf("%s %T", name, data))
		}
	}
	slices.Sort(lines)
	return lines
}

// find returns the lines that begin so.
func find(lines []string, prefix string) (found []string) {
	for _, line := range lines {
		if strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}
