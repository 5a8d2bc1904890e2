package otelroomtoken_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/benbjohnson/clock"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/otelroomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// attributesOf returns a span's attributes as text.
func attributesOf(span sdktrace.ReadOnlySpan) string {
	set := attribute.NewSet(span.Attributes()...)
	return set.Encoded(attribute.DefaultEncoder())
}

// A call is a trace of its own, linked with the span of the caller who started it, in both
// directions. The source's own spans are in it.
func TestSpanOfACall(t *testing.T) {
	x := newTelemetry(t)
	tracer := x.tracers.Tracer("test")
	source := &roomtokentest.Source{}
	source.CreateFunc = func(ctx context.Context, room string) (roomtoken.Grant, error) {
		_, span := tracer.Start(ctx, "POST")
		defer span.End()
		return source.Mint(room), nil
	}
	manager := newManager(t, otelroomtoken.NewSource(source, x.options()...))
	ctx, root := tracer.Start(t.Context(), "request")
	ctx, caller := tracer.Start(ctx, "join")
	tok, err := manager.Token(ctx, "lobby")
	if err != nil {
		t.Fatal(err)
	}
	caller.End()
	root.End()

	call, join, post := x.span("roomtoken create"), x.span("join"), x.span("POST")
	if call.Parent().IsValid() || call.SpanContext().TraceID() == join.SpanContext().TraceID() {
		t.Error("the call is not the root of a trace of its own")
	}
	if links := call.Links(); len(links) != 1 || !links[0].SpanContext.Equal(join.SpanContext()) {
		t.Errorf("the call has the links %v, want one to its caller", links)
	}
	if links := join.Links(); len(links) != 1 || !links[0].SpanContext.Equal(call.SpanContext()) {
		t.Errorf("the caller has the links %v, want one to the call", links)
	}
	if post.Parent().SpanID() != call.SpanContext().SpanID() {
		t.Error("the span of the source is no child of the call's")
	}
	if call.SpanKind() != trace.SpanKindInternal || call.InstrumentationScope().Name != otelroomtoken.ScopeName {
		t.Errorf("kind %v, scope %q", call.SpanKind(), call.InstrumentationScope().Name)
	}
	want := "roomtoken.call=create,roomtoken.room.id=lobby,roomtoken.token.fingerprint=" + tok.Value.Fingerprint()
	if got := attributesOf(call); got != want {
		t.Errorf("attributes %s, want %s", got, want)
	}
	if call.Status().Code != codes.Unset || len(call.Events()) != 0 {
		t.Errorf("status %v, events %v", call.Status(), call.Events())
	}
}

// Many callers wait for one call: it has one span, with a link to the first of them.
func TestOneSpanForManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTelemetry(t)
		tracer := x.tracers.Tracer("test")
		manager := newManager(t, otelroomtoken.NewSource(&roomtokentest.Source{Latency: time.Second}, x.options()...))
		for i := range 10 {
			go func() {
				ctx, span := tracer.Start(t.Context(), fmt.Sprint("caller ", i))
				defer span.End()
				_, _ = manager.Token(ctx, "lobby")
			}()
			synctest.Wait()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		call := x.span("roomtoken create")
		if links := call.Links(); len(links) != 1 || !links[0].SpanContext.Equal(x.span("caller 0").SpanContext()) {
			t.Errorf("the links are %v, want one to the first caller", links)
		}
		if n := len(x.span("caller 5").Links()); n != 0 {
			t.Errorf("a caller who joined has %d links, want none", n)
		}
	})
}

// A renewal in the background is nobody's: it has no link.
func TestRenewalHasNoLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTelemetry(t)
		manager := newManager(t, otelroomtoken.NewSource(&roomtokentest.Source{}, x.options()...))
		ctx, caller := x.tracers.Tracer("test").Start(t.Context(), "caller")
		if _, err := manager.Token(ctx, "lobby"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Minute) // tokens live 10
		caller.End()
		renewal := x.span("roomtoken refresh")
		if len(renewal.Links()) != 0 || renewal.Parent().IsValid() {
			t.Errorf("links %v, parent %v; want none", renewal.Links(), renewal.Parent())
		}
		if n := len(x.span("caller").Links()); n != 1 {
			t.Errorf("the caller has %d links, want that to its own call only", n)
		}
		if !strings.HasPrefix(attributesOf(renewal), "roomtoken.call=refresh,roomtoken.room.id=lobby,") {
			t.Errorf("attributes %s", attributesOf(renewal))
		}
	})
}

// A caller whose span is not recorded, or is in another process, is linked to all the same.
func TestCallerThatDoesNotRecord(t *testing.T) {
	x := newTelemetry(t)
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, Remote: true})
	source := otelroomtoken.NewSource(&roomtokentest.Source{}, x.options()...)
	if _, err := source.Create(trace.ContextWithSpanContext(t.Context(), remote), "lobby"); err != nil {
		t.Fatal(err)
	}
	if links := x.span("roomtoken create").Links(); len(links) != 1 || !links[0].SpanContext.Equal(remote) {
		t.Errorf("links %v, want one to the remote span", links)
	}
}

// Where spans of calls are switched off, the caller's span gets no link to itself.
func TestTracesSwitchedOff(t *testing.T) {
	x := newTelemetry(t)
	source := otelroomtoken.NewSource(&roomtokentest.Source{}, otelroomtoken.WithMeterProvider(x.meters),
		otelroomtoken.WithTracerProvider(tracenoop.NewTracerProvider()))
	ctx, caller := x.tracers.Tracer("test").Start(t.Context(), "caller")
	if _, err := source.Create(ctx, "lobby"); err != nil {
		t.Fatal(err)
	}
	caller.End()
	if links := x.span("caller").Links(); len(links) != 0 {
		t.Errorf("links %v, want none", links)
	}
}

func TestFailures(t *testing.T) {
	canceled, cancel := context.WithCancelCause(t.Context())
	cancel(roomtoken.ErrClosed)
	late, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("CallTimeout has passed: %w", context.DeadlineExceeded)) // as on a clock.Mock
	for _, test := range []struct {
		err  error
		ctx  context.Context
		want string
	}{
		{err: roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Minute), want: "rate_limited"},
		{err: fmt.Errorf("400: %w", roomtoken.ErrRefreshRejected), want: "refresh_rejected"},
		{err: roomtoken.Permanent(roomtoken.ErrRefreshRejected), want: "refresh_rejected"},
		{err: fmt.Errorf("404: %w", roomtoken.ErrRoomNotFound), want: "room_not_found"},
		{err: roomtoken.Permanent(errors.New("403")), want: "permanent"},
		{err: roomtoken.ErrUnauthorized, want: "permanent"},
		{err: context.DeadlineExceeded, want: "timeout"},
		{err: errors.New("broken pipe"), ctx: late, want: "timeout"},
		{err: context.Canceled, want: "canceled"},
		{err: errors.New("broken pipe"), ctx: canceled, want: "canceled"},
		{err: errors.New("500"), want: "_OTHER"},
		{err: net.ErrClosed, want: "_OTHER"},
	} {
		x := newTelemetry(t)
		source := &roomtokentest.Source{IgnoreContext: true}
		source.Fail(test.err, 1)
		ctx := t.Context()
		if test.ctx != nil {
			ctx = test.ctx
		}
		traced := otelroomtoken.NewSource(source, x.options()...)
		if _, err := traced.Refresh(ctx, "lobby", roomtoken.Token{}); err != test.err {
			t.Errorf("%v: the error became %v", test.err, err)
		}
		span := x.span("roomtoken refresh")
		if got, want := attributesOf(span), "error.type="+test.want+",roomtoken.call=refresh,roomtoken.room.id=lobby"; got != want {
			t.Errorf("%v: attributes %s, want %s", test.err, got, want)
		}
		if s := span.Status(); s.Code != codes.Error || s.Description != test.err.Error() {
			t.Errorf("%v: status %v", test.err, s)
		}
		if len(span.Events()) != 0 {
			t.Errorf("%v: events %v, want none", test.err, span.Events())
		}
		got := find(lines(x.collect()), "roomtoken.call.duration histogram s {error.type="+test.want+",roomtoken.call=refresh} 1 ")
		if len(got) != 1 {
			t.Errorf("%v: the call was not measured as such: %q", test.err, lines(x.collect()))
		}
	}
}

// CallTimeout is a timeout, whatever the source makes of it.
func TestCallTimeout(t *testing.T) {
	for name, config := range map[string]roomtoken.Config{"real": {}, "mock": {Clock: clock.NewMock()}} {
		t.Run(name, bubble(func(t *testing.T) {
			x := newTelemetry(t)
			source := &roomtokentest.Source{}
			source.CreateFunc = func(ctx context.Context, _ string) (roomtoken.Grant, error) {
				<-ctx.Done()
				return roomtoken.Grant{}, errors.New("broken pipe")
			}
			manager, err := roomtoken.NewManager(otelroomtoken.NewSource(source, x.options()...), config)
			if err != nil {
				t.Fatal(err)
			}
			defer manager.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			go func() { _, _ = manager.Token(ctx, "lobby") }()
			synctest.Wait()
			if mock, ok := config.Clock.(*clock.Mock); ok {
				mock.Add(10 * time.Second)
			} else {
				time.Sleep(10 * time.Second)
			}
			synctest.Wait()
			if got := attributesOf(x.span("roomtoken create")); !strings.Contains(got, "error.type=timeout") {
				t.Errorf("attributes %s, want a timeout", got)
			}
		}))
	}
}

func TestTextOfAFailure(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New(strings.Repeat("x", 299) + "äöü"), strings.Repeat("x", 299)},
		{errors.New(strings.Repeat("x", 298) + "äöü"), strings.Repeat("x", 298) + "ä"},
		{errors.New(strings.Repeat("\xff", 200)), strings.Repeat("\uFFFD", 1)},
		{errors.New("bad \xff byte"), "bad \uFFFD byte"},
		{errors.New("the token canary-47 is bad, I said canary-47"), "the token [redacted] is bad, I said [redacted]"},
		{silentError{}, "the text of the error cannot be had"},
	} {
		x := newTelemetry(t)
		source := &roomtokentest.Source{}
		source.Fail(test.err, 1)
		refreshToken := roomtoken.Token{Value: roomtoken.NewSecret("canary-47")}
		if _, err := otelroomtoken.NewSource(source, x.options()...).Refresh(t.Context(), "lobby", refreshToken); err != test.err {
			t.Errorf("the error became %v", err)
		}
		got := x.span("roomtoken refresh").Status().Description
		if got != test.want || len(got) > 300 || !utf8.ValidString(got) {
			t.Errorf("text %q, want %q", got, test.want)
		}
	}
}

// The refresh token is not in the text in any form in which package fmt prints it, nor in
// those that it has in a URL.
func TestTextOfAFailureHidesTheRefreshToken(t *testing.T) {
	const secret = "k\"ey/47+ä b\n"
	for _, test := range []struct{ text, want string }{
		{secret, "[redacted]"},
		{fmt.Sprintf("%q", secret), `"[redacted]"`},
		{fmt.Sprint([]byte(secret)), "[[redacted]]"},
		{fmt.Sprintf("%x, %X", secret, secret), "[redacted], [redacted]"},
		{"/token/" + url.PathEscape(secret) + "?x", "/token/[redacted]?x"},
		{url.Values{"refresh_token": {secret}}.Encode() + "&x", "refresh_token=[redacted]&x"},
	} {
		x := newTelemetry(t)
		source := &roomtokentest.Source{}
		source.Fail(errors.New(test.text), 1)
		refreshToken := roomtoken.Token{Value: roomtoken.NewSecret(secret)}
		_, _ = otelroomtoken.NewSource(source, x.options()...).Refresh(t.Context(), "lobby", refreshToken)
		if got := x.span("roomtoken refresh").Status().Description; got != test.want {
			t.Errorf("text %q, want %q", got, test.want)
		}
	}
}

// silentError panics when it is asked for its text.
type silentError struct{}

func (silentError) Error() string { panic("canary-47") }

// An exporter that takes UTF-8 only gets nothing else.
func TestRoomIDIsValidUTF8(t *testing.T) {
	x := newTelemetry(t)
	_, _ = otelroomtoken.NewSource(&roomtokentest.Source{}, x.options()...).Create(t.Context(), "lob\xffby")
	want := attribute.String("roomtoken.room.id", "lob\uFFFDby")
	if got := x.span("roomtoken create").Attributes(); !slices.Contains(got, want) {
		t.Errorf("attributes %q, want %q among them", got, want)
	}
}

// A panic reaches the Manager as it was thrown, and no span has its value.
func TestPanic(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func()
	}{
		{"panic", func() { panic("canary-47") }},
		{"Goexit", runtime.Goexit},
	} {
		t.Run(test.name, bubble(func(t *testing.T) {
			x := newTelemetry(t)
			source := &roomtokentest.Source{}
			source.Next(roomtokentest.Outcome{Do: func(context.Context, roomtokentest.Call) (roomtoken.Grant, error) {
				test.do()
				return roomtoken.Grant{}, nil
			}})
			manager := newManager(t, otelroomtoken.NewSource(source, x.options()...))
			ctx, caller := x.tracers.Tracer("test").Start(t.Context(), "caller")
			if _, err := manager.Token(ctx, "lobby"); err != nil { // from the second attempt
				t.Fatal(err)
			}
			caller.End()

			var thrown *roomtoken.PanicError
			if !errors.As(manager.Stats().LastError, &thrown) {
				t.Fatalf("the Manager has the error %v, want a PanicError", manager.Stats().LastError)
			}
			if test.name == "panic" && (thrown.Value != "canary-47" || !strings.Contains(string(thrown.Stack), "source_test.go")) {
				t.Errorf("the Manager has %v, with the stack\n%s", thrown.Value, thrown.Stack)
			}
			failed := x.recorder.Ended()[0]
			if s := failed.Status(); s.Code != codes.Error || s.Description != "the source panicked" {
				t.Errorf("status %v", s)
			}
			if got, want := attributesOf(failed), "error.type=panic,roomtoken.call=create,roomtoken.room.id=lobby"; got != want {
				t.Errorf("attributes %s, want %s", got, want)
			}
			for _, span := range x.recorder.Ended() {
				if text := fmt.Sprintf("%+v %+v %+v", span.Attributes(), span.Events(), span.Status()); strings.Contains(text, "canary-47") {
					t.Errorf("%s has the value: %s", span.Name(), text)
				}
			}
			if got := find(lines(x.collect()), "roomtoken.call.duration histogram s {error.type=panic,roomtoken.call=create} 1 "); len(got) != 1 {
				t.Error("the call was not measured")
			}
		}))
	}
}

// Durations are measured in the buckets of the Manager.
func TestDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTelemetry(t)
		source := otelroomtoken.NewSource(&roomtokentest.Source{Latency: 30 * time.Millisecond}, x.options()...)
		if _, err := source.Create(t.Context(), "lobby"); err != nil {
			t.Fatal(err)
		}
		got := find(lines(x.collect()), "roomtoken.call.duration ")
		want := "roomtoken.call.duration histogram s {roomtoken.call=create} 1 0.03 [0 0 0 0 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0]"
		if len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// No metric has an attribute with a room ID, and nothing at all a secret.
func TestNoCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &roomtokentest.Source{}
		mint := func(room string) roomtoken.Grant {
			g := source.Mint(room)
			g.Token.Value = roomtoken.NewSecret("canary-token-" + g.Token.Value.Reveal())
			g.RefreshToken.Value = roomtoken.NewSecret("canary-refresh")
			return g
		}
		source.CreateFunc = func(_ context.Context, room string) (roomtoken.Grant, error) { return mint(room), nil }
		source.RefreshFunc = func(_ context.Context, room string, refreshToken roomtoken.Token) (roomtoken.Grant, error) {
			if refreshToken.Value.Reveal() == "canary-refresh" {
				return roomtoken.Grant{}, fmt.Errorf("%w: %s", roomtoken.ErrRefreshRejected, refreshToken.Value.Reveal())
			}
			return mint(room), nil
		}
		x := newTelemetry(t)
		manager := newManager(t, otelroomtoken.NewSource(source, x.options()...))
		if _, err := otelroomtoken.Register(manager, x.options()...); err != nil {
			t.Fatal(err)
		}
		if _, err := manager.Token(t.Context(), "canary-room"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Minute)

		if got := strings.Join(lines(x.collect()), "\n"); strings.Contains(got, "canary") {
			t.Error(got)
		}
		if n := len(x.recorder.Ended()); n != 3 {
			t.Errorf("%d spans, want 3", n)
		}
		for _, span := range x.recorder.Ended() {
			text := fmt.Sprintf("%s %+v %+v %+v", span.Name(), span.Attributes(), span.Events(), span.Status())
			if strings.Contains(text, "canary-token") || strings.Contains(text, "canary-refresh") {
				t.Error(text)
			}
		}
	})
}

func TestAttributesAreOnEverySpan(t *testing.T) {
	x := newTelemetry(t)
	source := otelroomtoken.NewSource(&roomtokentest.Source{},
		append(x.options(), otelroomtoken.WithAttributes(attribute.String("account", "eu")))...)
	_, _ = source.Create(t.Context(), "lobby")
	if got := attributesOf(x.span("roomtoken create")); !strings.Contains(got, "account=eu") {
		t.Errorf("attributes %s", got)
	}
}

// Calls are traced and measured while metrics are collected.
func TestInParallel(t *testing.T) {
	x := newTelemetry(t)
	manager := newManager(t, otelroomtoken.NewSource(&roomtokentest.Source{}, x.options()...))
	if _, err := otelroomtoken.Register(manager, x.options()...); err != nil {
		t.Fatal(err)
	}
	ctx, caller := x.tracers.Tracer("test").Start(t.Context(), "caller")
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for j := range 50 {
				if _, err := manager.Token(ctx, fmt.Sprint(i, j)); err != nil {
					t.Error(err)
				}
				if j%10 == 0 {
					x.collect()
				}
			}
		})
	}
	callers.Wait()
	caller.End()
	if n := len(x.recorder.Ended()); n != 401 {
		t.Errorf("%d spans, want 400 of calls and that of the caller", n)
	}
	got := find(lines(x.collect()), "roomtoken.call.duration histogram s {roomtoken.call=create} 400 ")
	if len(got) != 1 {
		t.Error("not every call was measured")
	}
}
