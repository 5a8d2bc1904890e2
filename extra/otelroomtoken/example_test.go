package otelroomtoken_test

import (
	"context"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/otelroomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// All that a service sets up: spans and durations of calls, the counters and gauges of the
// Manager, and its histograms.
func Example() {
	source := otelroomtoken.NewSource(&roomtokentest.Source{}) // in production: around that of telnyx.NewSource
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	reader := sdkmetric.NewManualReader( // in production: NewPeriodicReader, with an exporter
		sdkmetric.WithProducer(otelroomtoken.NewProducer(manager)))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	registration, err := otelroomtoken.Register(manager, otelroomtoken.WithMeterProvider(meters))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer registration.Unregister()

	_, _ = manager.Token(context.Background(), "lobby")
	var names []string
	var metrics metricdata.ResourceMetrics
	err = reader.Collect(context.Background(), &metrics)
	for _, scope := range metrics.ScopeMetrics {
		for _, m := range scope.Metrics {
			names = append(names, m.Name)
		}
	}
	fmt.Println(len(names), slices.Contains(names, "roomtoken.rooms"), slices.Contains(names, "roomtoken.wait.duration"), err)
	// Output: 22 true true <nil>
}

// The counters and gauges of two Managers in one process need an attribute that tells them
// apart.
func ExampleRegister() {
	reader := sdkmetric.NewManualReader()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()
	registration, err := otelroomtoken.Register(manager,
		otelroomtoken.WithMeterProvider(meters),
		otelroomtoken.WithAttributes(attribute.String("account", "eu")))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer registration.Unregister()

	_, _ = manager.Token(context.Background(), "lobby")
	var metrics metricdata.ResourceMetrics
	err = reader.Collect(context.Background(), &metrics)
	for _, m := range metrics.ScopeMetrics[0].Metrics {
		if m.Name == "roomtoken.misses" {
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				fmt.Println(m.Name, p.Attributes.Encoded(attribute.DefaultEncoder()), p.Value)
			}
		}
	}
	fmt.Println(err)
	// Output:
	// roomtoken.misses account=eu 1
	// <nil>
}

// The histograms come from a producer, which belongs to a reader.
func ExampleNewProducer() {
	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()
	reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(otelroomtoken.NewProducer(manager)))
	sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))

	_, _ = manager.Token(context.Background(), "lobby")
	var metrics metricdata.ResourceMetrics
	err = reader.Collect(context.Background(), &metrics)
	for _, m := range metrics.ScopeMetrics[0].Metrics {
		fmt.Println(m.Name, m.Data.(metricdata.Histogram[float64]).DataPoints[0].Count)
	}
	fmt.Println(err)
	// Output:
	// roomtoken.wait.duration 1
	// roomtoken.renewal.slack 0
	// <nil>
}

// A call is a trace of its own, linked with the span of the caller who started it.
func ExampleNewSource() {
	recorder := tracetest.NewSpanRecorder()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	source := otelroomtoken.NewSource(&roomtokentest.Source{}, otelroomtoken.WithTracerProvider(tracers))
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	ctx, request := tracers.Tracer("server").Start(context.Background(), "POST /join")
	_, _ = manager.Token(ctx, "lobby") // a call
	_, _ = manager.Token(ctx, "lobby") // a hit
	request.End()

	for _, span := range recorder.Ended() {
		fmt.Printf("%s: parent %v, %d link\n", span.Name(), span.Parent().IsValid(), len(span.Links()))
	}
	call, join := recorder.Ended()[0], recorder.Ended()[1]
	fmt.Println(call.Links()[0].SpanContext.SpanID() == join.SpanContext().SpanID())
	// Output:
	// roomtoken create: parent false, 1 link
	// POST /join: parent false, 1 link
	// true
}
