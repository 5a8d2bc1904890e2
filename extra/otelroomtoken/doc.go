// Package otelroomtoken exports the statistics of a [roomtoken.Manager], and spans for its
// calls, to OpenTelemetry. It has three parts, each of use without the others:
//
//	source = otelroomtoken.NewSource(source)           // spans and durations of calls
//	manager, err := roomtoken.NewManager(source, ...)
//	registration, err := otelroomtoken.Register(manager) // counters and gauges
//	reader := sdkmetric.NewPeriodicReader(exporter,
//		sdkmetric.WithProducer(otelroomtoken.NewProducer(manager))) // histograms
//
// All metrics but the durations of calls come from [roomtoken.Manager.Stats], one call of
// it per collection: no event can be lost, and a hit costs what it costs without. No
// metric has an attribute that holds a room ID; spans have one.
//
// If a process has two Managers, tell them apart with [WithAttributes].
package otelroomtoken

// ScopeName is the name of the instrumentation scope of all spans and metrics.
const ScopeName = "github.com/roomtoken/roomtoken/extra/otelroomtoken"
