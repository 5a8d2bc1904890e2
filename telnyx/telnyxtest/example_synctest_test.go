package telnyxtest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// attend is the service under test. Until ctx ends it takes part in the room: once a
// minute it shows its token. It returns how often it did, and the errors it met.
func attend(ctx context.Context, manager *roomtoken.Manager, show func(token string) error) (shown int, errs []error) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		tok, err := manager.Token(ctx, room)
		if err == nil {
			err = show(tok.Value.Reveal())
		}
		if err != nil {
			errs = append(errs, err)
		}
		shown++
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return shown, errs
		}
	}
}

// A service runs for a day in a testing/synctest bubble, on the HTTP API and through its
// faults. The test takes a fraction of a second.
func TestExampleSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The server starts in the bubble and has no socket. Its Close, which Start
		// leaves to t.Cleanup, lets the bubble end.
		api := telnyxtest.Start(t, telnyxtest.Config{InMemory: true})
		api.Inject(telnyxtest.Fault{Latency: 300 * time.Millisecond}) // of every call

		// Only the server's own client reaches it.
		source, err := telnyx.NewSource(telnyx.Config{BaseURL: api.URL, APIKey: api.APIKey, HTTPClient: api.Client()})
		if err != nil {
			t.Fatal(err)
		}
		manager, err := roomtoken.NewManager(source, roomtoken.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer manager.Close()

		// The day's events: an outage for the next calls, calls that get no response,
		// and refresh tokens that are refused.
		go func() {
			time.Sleep(6 * time.Hour)
			api.Inject(telnyxtest.Fault{Status: 503, Times: 5})
			time.Sleep(6 * time.Hour)
			api.Inject(telnyxtest.Fault{Hang: true, Times: 3})
			time.Sleep(6 * time.Hour)
			api.RevokeRefreshTokens(room)
		}()

		day, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		shown, errs := attend(day, manager, func(token string) error { return api.Verify(room, token) })
		if shown < 24*60 || len(errs) > 0 {
			t.Errorf("of %d times, %d failed: %v", shown, len(errs), errs)
		}

		calls := api.Calls()
		t.Logf("%d creates and %d refreshes, by status: %v", calls.Creates, calls.Refreshes, calls.Statuses)
		if calls.Statuses[503] != 5 || calls.Statuses[0] != 3 || calls.Statuses[403] != 1 {
			t.Errorf("by status: %v, want five 503, three calls without a response and one 403", calls.Statuses)
		}
		if n := calls.Rooms[room].MaxInFlight; n != 1 || calls.KeyLeaks > 0 {
			t.Errorf("%d calls at once, %d leaks of the API key; want 1 and none", n, calls.KeyLeaks)
		}
	})
}
