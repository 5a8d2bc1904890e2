package main

import (
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// fault is something that a button of the page breaks in the API of this process.
type fault struct {
	Name    string        // in the path
	Label   string        // of the button
	Text    string        // what happens
	Lasting time.Duration // 0: it is over at once
	inject  func()
}

// faultsOf returns what can be broken in the API, whose tokens have that lifetime.
func faultsOf(api *telnyxtest.Server, ttl time.Duration) []fault {
	outage, limit := ttl+ttl/2, ttl/2
	return []fault{
		{
			Name: "outage", Label: "Outage", Lasting: outage,
			Text:   fmt.Sprintf("The API answers 503 for %s. Nobody notices until the tokens run out, after at most %s. Later the rooms come back by themselves.", seconds(outage), seconds(ttl)),
			inject: func() { api.Inject(telnyxtest.Outage(outage)) },
		},
		{
			Name: "revoke", Label: "Revoke refresh tokens",
			Text:   "The API refuses the next refresh of each room. A create follows at once, and nobody notices.",
			inject: func() { api.RevokeRefreshTokens() },
		},
		{
			Name: "limit", Label: "Rate limit", Lasting: limit,
			Text:   fmt.Sprintf("The API answers 429 for %s. After the first such answer it is left alone for as long as the answer says.", seconds(limit)),
			inject: func() { api.Inject(telnyxtest.RateLimited(limit)) },
		},
	}
}

// Seconds returns for how long the fault lasts.
func (f fault) Seconds() float64 { return f.Lasting.Seconds() }

// seconds returns d as people write it.
func seconds(d time.Duration) string { return fmt.Sprintf("%g s", d.Seconds()) }
