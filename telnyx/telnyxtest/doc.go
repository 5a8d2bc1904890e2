// Package telnyxtest serves the part of the Telnyx API that mints tokens, in the process
// of the test, on a loopback port or in memory, and injects faults on demand.
//
//	srv := telnyxtest.Start(t, telnyxtest.Config{})
//	source, err := telnyx.NewSource(telnyx.Config{BaseURL: srv.URL, APIKey: srv.APIKey})
//	...
//	srv.Inject(telnyxtest.Outage(6 * time.Second))        // every call gets a 503
//	srv.RevokeRefreshTokens(room)                         // the next refresh is refused
//	if err := srv.Verify(room, token); err != nil { ... } // would the room accept it?
//
// The server follows Telnyx's OpenAPI document. For video rooms it has both pairs of
// endpoints: the current one (generate_join_client_token, refresh_client_token) and the
// legacy one (create_access_token, refresh_access_token). For telephony credentials it has
// the one that mints a token (telephony_credentials/{id}/token). Tokens are real JWTs,
// signed with keys of the server's own.
//
// It also answers what Telnyx's own SDKs send and the document rules out, unless
// [Config].Strict is set: a Create without a body, and a Refresh with an API key, which is
// counted in [Calls].KeyLeaks.
//
// # Time
//
// All times come from [Config].Clock: expiry, latency, rate limits and the duration of
// faults. To test behavior over time, prefer a [testing/synctest] bubble, with a nil Clock
// everywhere: a day passes in a fraction of a second. Package roomtokentest is made for
// that, and needs no HTTP. For a test that needs the HTTP API, start the server in the
// bubble, with [Config].InMemory, and make all requests with its [Server.Client]:
//
//	synctest.Test(t, func(t *testing.T) {
//		srv := telnyxtest.Start(t, telnyxtest.Config{InMemory: true})
//		source, err := telnyx.NewSource(telnyx.Config{BaseURL: srv.URL, APIKey: srv.APIKey, HTTPClient: srv.Client()})
//		...
//		srv.Inject(telnyxtest.Fault{Hang: true, Times: 3})
//		time.Sleep(24 * time.Hour) // everything else goes on meanwhile
//	})
//
// A server with a socket does not fit into a bubble: a goroutine that waits for a socket
// keeps the time of the bubble from advancing.
//
// The second choice is a [github.com/benbjohnson/clock.Mock] in Config.Clock, the same one
// as in the code under test. Call its Add from one goroutine only. Do not call its Timer,
// Ticker, After, Tick or Sleep: they run due timers themselves and can deadlock with Add.
// This package uses AfterFunc alone.
package telnyxtest
