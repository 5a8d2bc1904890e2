package otelroomtoken

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"github.com/roomtoken/roomtoken"
)

// NewSource returns a source that makes the calls of another one, and for each a span and a
// measurement of roomtoken.call.duration, with the attribute error.type if it failed. A
// nil source stays nil, which [roomtoken.NewManager] reports.
//
// The span, "roomtoken create" or "roomtoken refresh", is the root of a trace of its own:
// a call outlives the caller who started it and serves others as well. It has a link to the
// span of that caller, and that span a link to it, if it is still recording. A renewal in
// the background has no link. The spans of the source itself are children of the call's.
//
// A failure sets the span's status, with the error's text, cut to 300 bytes and without
// the refresh token that the source was called with. A panic goes on to the Manager; its
// value is not in the span.
func NewSource(source roomtoken.TokenSource, opts ...Option) roomtoken.TokenSource {
	if source == nil {
		return nil
	}
	o := newOptions(opts)
	duration, err := o.meters.Meter(ScopeName).Float64Histogram("roomtoken.call.duration", metric.WithUnit("s"),
		metric.WithDescription("How long calls to the source took."), metric.WithExplicitBucketBoundaries(bounds()...))
	if err != nil {
		otel.Handle(err)
		duration = noop.Float64Histogram{}
	}
	return &tracedSource{source, o, o.tracers.Tracer(ScopeName), duration}
}

type tracedSource struct {
	source   roomtoken.TokenSource
	options  *options
	tracer   trace.Tracer
	duration metric.Float64Histogram
}

// Create implements [roomtoken.TokenSource].
func (s *tracedSource) Create(ctx context.Context, roomID string) (roomtoken.Grant, error) {
	return s.trace(ctx, roomtoken.CallCreate, roomID, roomtoken.Secret{}, func(ctx context.Context) (roomtoken.Grant, error) {
		return s.source.Create(ctx, roomID)
	})
}

// Refresh implements [roomtoken.TokenSource].
func (s *tracedSource) Refresh(ctx context.Context, roomID string, refreshToken roomtoken.Token) (roomtoken.Grant, error) {
	return s.trace(ctx, roomtoken.CallRefresh, roomID, refreshToken.Value, func(ctx context.Context) (roomtoken.Grant, error) {
		return s.source.Refresh(ctx, roomID, refreshToken)
	})
}

// trace makes a call in a span.
func (s *tracedSource) trace(ctx context.Context, kind roomtoken.CallKind, roomID string, refreshToken roomtoken.Secret,
	do func(context.Context) (roomtoken.Grant, error),
) (roomtoken.Grant, error) {
	ctx, c := s.begin(ctx, kind, roomID)
	defer c.end(ctx)
	grant, err := do(ctx)
	if err != nil {
		c.errorType, c.text = errorType(ctx, err), errorText(err, refreshToken)
		return grant, err
	}
	c.errorType = ""
	if c.span.IsRecording() {
		c.span.SetAttributes(fingerprintKey.String(grant.Token.Value.Fingerprint()))
	}
	return grant, nil
}

// call is a call in flight.
type call struct {
	source *tracedSource
	kind   attribute.KeyValue
	span   trace.Span
	began  time.Time

	errorType string // "": it did not fail
	text      string // of the failure
}

func (s *tracedSource) begin(ctx context.Context, kind roomtoken.CallKind, roomID string) (context.Context, *call) {
	c := &call{
		source: s, kind: callKey.String(kind.String()), began: time.Now(),
		errorType: "panic", text: "the source panicked", // unless it returns
	}
	caller := trace.SpanFromContext(ctx)
	start := []trace.SpanStartOption{
		trace.WithNewRoot(),
		trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithAttributes(s.options.attributes...),
		trace.WithAttributes(c.kind, roomIDKey.String(valid(roomID))),
	}
	if caller.SpanContext().IsValid() {
		start = append(start, trace.WithLinks(trace.Link{SpanContext: caller.SpanContext()}))
	}
	ctx, c.span = s.tracer.Start(ctx, "roomtoken "+kind.String(), start...)
	if own := c.span.SpanContext(); own.TraceID() != caller.SpanContext().TraceID() { // spans are not switched off
		caller.AddLink(trace.Link{SpanContext: own})
	}
	return ctx, c
}

// end measures the call and ends the span. The End of a span must not be deferred itself:
// that of the SDK would recover what the source has thrown, and record it.
func (c *call) end(ctx context.Context) {
	attributes := []attribute.KeyValue{c.kind}
	if c.errorType != "" {
		attributes = append(attributes, errorTypeKey.String(c.errorType))
		c.span.SetAttributes(errorTypeKey.String(c.errorType))
		c.span.SetStatus(codes.Error, c.text)
	}
	c.source.duration.Record(ctx, time.Since(c.began).Seconds(),
		metric.WithAttributeSet(c.source.options.with(attributes...)))
	c.span.End()
}
