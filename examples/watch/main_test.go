package main

import (
	"context"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// A token that the room rejects is replaced while the participant stays.
func TestRejectedTokenIsReplaced(t *testing.T) {
	api := telnyxtest.Start(t, telnyxtest.Config{})
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- participate(ctx, api) }()

	waitForCreates(t, api, 1)
	api.RevokeTokens(room)
	waitForCreates(t, api, 2)
	leave()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func waitForCreates(t *testing.T, api *telnyxtest.Server, n int) {
	t.Helper()
	for timeout := time.After(10 * time.Second); api.Calls().Statuses[201] < n; {
		select {
		case <-timeout:
			t.Fatalf("API calls %+v, want %d creates", api.Calls(), n)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
