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

	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// The whole demonstration, on a fake clock: every fault meets a renewal, and no
// caller notices.
func TestDemonstration(t *testing.T) {
	mock := clock.NewMock()
	mock.Set(time.Date(2026, 7, 1, 12, 0, 0, 300e6, time.UTC))
	s := newStage(options{length: demoLength}, mock)
	defer s.close()
	s.minRest, s.maxRest = time.Second, 2*time.Second // each timer of the fake clock takes real time
	transport := &countingTransport{}
	s.telnyx.HTTPClient = &http.Client{Transport: transport}

	var out bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- run(t.Context(), s, plainView(&out)) }()
	if err := drive(t, mock, s.api, transport, done); err != nil {
		t.Fatal(err)
	}

	sum := s.summary()
	t.Logf("%s\n%s", out.String(), sum)
	c, faults := s.tally.read()
	if s.wentWrong() || c.Failed != 0 || c.Refused != 0 {
		t.Errorf("%d failures, %d tokens refused, the last error %v; want none", c.Failed, c.Refused, c.LastError)
	}
	if !strings.Contains(strings.Join(strings.Fields(sum), " "), "failures seen by callers 0 ") {
		t.Error("the summary does not say that callers saw no failure")
	}
	if c.Answered == 0 || c.Checked == 0 || c.Pushed < uint64(2*len(s.rooms)) || len(faults) != 3 {
		t.Errorf("%d answers, %d checks, %d tokens pushed, faults %q", c.Answered, c.Checked, c.Pushed, faults)
	}
	if got, most := s.stats.Misses, uint64(s.callers*len(s.rooms)); got > most {
		t.Errorf("%d calls waited; want at most the first one of each caller, %d", got, most)
	}
	calls := s.api.Calls()
	if calls.Statuses[403] != 1 || calls.Statuses[429] != 1 || calls.Statuses[503] < 3 || s.stats.Fallbacks == 0 {
		t.Errorf("answers by status %v, fallbacks %d; want the revoked refresh token, the rate limit and the outage to be met", calls.Statuses, s.stats.Fallbacks)
	}
	if calls.KeyLeaks != 0 {
		t.Errorf("%d refreshes carried the API key", calls.KeyLeaks)
	}
	for room, c := range calls.Rooms {
		if c.MaxInFlight != 1 {
			t.Errorf("room %s had %d calls at a time", room, c.MaxInFlight)
		}
	}
}

// drive moves the clock until done, and holds it while a call is on its way: a
// call takes the latency of the API, and no more however slow the machine.
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

// countingTransport counts the requests that have no answer yet.
type countingTransport struct{ inFlight atomic.Int64 }

func (c *countingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c.inFlight.Add(1)
	defer c.inFlight.Add(-1)
	return http.DefaultTransport.RoundTrip(req)
}

// With a key and rooms the program works against whatever TELNYX_BASE_URL names.
func TestAgainstAnAPI(t *testing.T) {
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
		t.Errorf("%+v, want one create for each room", calls)
	}

	// A ctx that ends, as with Ctrl-C, is a regular end.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if status := quickstart(ctx, []string{roomA}, environment.get, &stdout, &stderr); status != exitOK {
		t.Errorf("status %d after an interrupt", status)
	}

	// Whoever cannot be served shows in the exit status.
	removeFault := api.Inject(telnyxtest.Fault{Status: http.StatusUnauthorized})
	stdout.Reset()
	if status := quickstart(t.Context(), []string{"--for", "300ms", roomA}, environment.get, &stdout, &stderr); status != exitFailed {
		t.Errorf("status %d with a key that is refused", status)
	}
	if !strings.Contains(stdout.String(), "401 Unauthorized") {
		t.Errorf("stdout does not say why: %s", &stdout)
	}

	removeFault()

	// So does a run in which nobody got a token, though nobody has given up yet.
	api.Inject(telnyxtest.Fault{Status: http.StatusBadGateway})
	stdout.Reset()
	if status := quickstart(t.Context(), []string{"--for", "200ms", roomB}, environment.get, &stdout, &stderr); status != exitFailed {
		t.Errorf("status %d where nothing works", status)
	}
	if !strings.Contains(stdout.String(), "nobody got a token: telnyx: create for room") {
		t.Errorf("stdout does not say why: %s", &stdout)
	}
}
