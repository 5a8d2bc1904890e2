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

	wait, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for n := range 2 {
		if err := api.WaitRequests(wait, n+1); err != nil {
			t.Fatalf("%v; API calls %+v, want %d creates", err, api.Calls(), n+1)
		}
		api.RevokeTokens(room)
	}
	leave()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
