package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken/examples/quickstart/internal/demo"
	"github.com/roomtoken/roomtoken/examples/quickstart/internal/screen"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// The whole demonstration: each fault affects renewals, and no caller notices. It
// uses a mock clock, not a synctest bubble: time stands still in a bubble while a
// server waits for connections.
func TestDemonstration(t *testing.T) {
	mock := clock.NewMock()
	mock.Set(time.Date(2026, 7, 1, 12, 0, 0, 300e6, time.UTC))
	d := demo.New(demo.Config{
		Duration: demo.Duration, Clock: mock,
		CallInterval: 1500 * time.Millisecond, // each timer of the mock takes 1 ms of real time
	})
	defer d.Close()
	transport := &countingTransport{}
	d.Telnyx.HTTPClient = &http.Client{Transport: transport}

	var out bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- run(t.Context(), d, screen.NewPlain(&out)) }()
	if err := drive(t, mock, d.API, transport, done); err != nil {
		t.Fatal(err)
	}

	r := d.Result()
	summary := screen.Summary(r, 80)
	t.Logf("%s\n%s", out.String(), summary)
	if c := r.Counts; r.Failed() || c.Failed != 0 || c.Rejected != 0 {
		t.Errorf("%d errors, %d rejected tokens, last error %v; want none", c.Failed, c.Rejected, c.LastError)
	}
	if text := strings.Join(strings.Fields(summary), " "); !strings.Contains(text, " 0 errors ") || !strings.Contains(text, "Every caller got a good token.") {
		t.Error("the summary does not say that no call failed")
	}
	if c := r.Counts; c.Revoked == 0 || r.Stats.Invalidations != 1 || c.Latency.Max() < 300*time.Millisecond {
		t.Errorf("%d tokens were refused and %d invalidated, and the longest wait was %v; want a caller to invalidate one, and callers to wait for a slow create",
			c.Revoked, r.Stats.Invalidations, c.Latency.Max())
	}
	if c := r.Counts; c.Succeeded == 0 || c.Checked == 0 || c.Pushed < uint64(2*r.Rooms) || len(r.Faults) != 5 {
		t.Errorf("%d calls succeeded, %d tokens checked, %d pushed, faults %q", c.Succeeded, c.Checked, c.Pushed, r.Faults)
	}
	if got, limit := r.Stats.Misses, uint64(r.CallersPerRoom*(r.Rooms+1)); got > limit {
		t.Errorf("%d calls waited, want at most %d: the first call of each caller, and of a room whose token was invalidated", got, limit)
	}
	calls := r.APICalls
	if calls.Statuses[403] != 1 || calls.Statuses[429] != 1 || calls.Statuses[503] < 3 || r.Stats.Fallbacks == 0 {
		t.Errorf("statuses %v, %d fallbacks; want calls to hit the revoked refresh token, the rate limit and the outage", calls.Statuses, r.Stats.Fallbacks)
	}
	if calls.KeyLeaks != 0 {
		t.Errorf("%d refreshes carried the API key", calls.KeyLeaks)
	}
	for room, c := range calls.Rooms {
		if c.MaxInFlight != 1 {
			t.Errorf("room %s had %d calls in flight at once, want 1", room, c.MaxInFlight)
		}
	}
}

// drive moves the clock until done. It stops the clock while a request is on its
// way, so that a call takes the latency of the API however slow the machine is.
func drive(t *testing.T, mock *clock.Mock, api *telnyxtest.Server, transport *countingTransport, done <-chan error) error {
	for t.Context().Err() == nil {
		select {
		case err := <-done:
			return err
		default:
		}
		n := int(transport.inFlight.Load())
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if n == 0 || api.WaitHeld(ctx, n) == nil {
			mock.Add(50 * time.Millisecond)
		}
		cancel()
	}
	return t.Context().Err()
}

// countingTransport counts the requests that have no response yet.
type countingTransport struct{ inFlight atomic.Int64 }

func (c *countingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c.inFlight.Add(1)
	defer c.inFlight.Add(-1)
	return http.DefaultTransport.RoundTrip(req)
}

// With a key and rooms the program uses the API at TELNYX_BASE_URL.
func TestTelnyx(t *testing.T) {
	api := telnyxtest.Start(t, telnyxtest.Config{APIKey: "KEY-of-mine"})
	t.Setenv("TELNYX_BASE_URL", api.URL)
	t.Setenv("TELNYX_API_KEY", "KEY-of-mine")
	environment := env{"TELNYX_API_KEY": "KEY-of-mine"}

	var stdout, stderr bytes.Buffer
	status := quickstart(t.Context(), []string{"--for", "500ms", roomA, roomB}, environment.get, &stdout, &stderr)
	if status != exitOK || stderr.Len() > 0 {
		t.Errorf("status %d, stderr %q", status, &stderr)
	}
	if !strings.Contains(stdout.String(), "2 rooms, 5 callers each, Telnyx") || strings.Contains(stdout.String(), "KEY") {
		t.Errorf("stdout %s", &stdout)
	}
	if calls := api.Calls(); calls.Creates != 2 {
		t.Errorf("%+v, want one create per room", calls)
	}

	// A canceled ctx, as after Ctrl-C, is not a failure.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if status := quickstart(ctx, []string{roomA}, environment.get, &stdout, &stderr); status != exitOK {
		t.Errorf("status %d after an interrupt", status)
	}

	// An error that callers get is.
	removeFault := api.Inject(telnyxtest.Fault{Status: http.StatusUnauthorized})
	stdout.Reset()
	if status := quickstart(t.Context(), []string{"--for", "300ms", roomA}, environment.get, &stdout, &stderr); status != exitFailed {
		t.Errorf("status %d with a rejected key", status)
	}
	if _, lastError, _ := strings.Cut(stdout.String(), "last error: "); !strings.Contains(lastError, "401 Unauthorized") {
		t.Errorf("stdout does not give the last error: %s", &stdout)
	}
	removeFault()

	// So is a run without any token, even if all callers are still waiting.
	api.Inject(telnyxtest.Fault{Status: http.StatusBadGateway})
	stdout.Reset()
	if status := quickstart(t.Context(), []string{"--for", "200ms", roomB}, environment.get, &stdout, &stderr); status != exitFailed {
		t.Errorf("status %d while every call fails", status)
	}
	if !strings.Contains(stdout.String(), "no caller got a token: telnyx: create for room") {
		t.Errorf("stdout does not give the reason: %s", &stdout)
	}
}
