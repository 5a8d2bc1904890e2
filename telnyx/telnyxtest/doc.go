// Package telnyxtest serves the part of the Telnyx API that mints and refreshes the
// tokens of video rooms, in the process of the test, on a loopback port, and injects
// faults on demand.
//
//	srv := telnyxtest.Start(t, telnyxtest.Config{})
//	source, err := telnyx.NewSource(telnyx.Config{BaseURL: srv.URL, APIKey: srv.APIKey})
//	...
//	srv.Inject(telnyxtest.Outage(6 * time.Second))        // every call gets a 503
//	srv.RevokeRefreshTokens(room)                         // the next refresh is refused
//	if err := srv.Verify(room, token); err != nil { ... } // would the room accept it?
//
// The server follows Telnyx's OpenAPI document. It has both pairs of endpoints: the
// current one (generate_join_client_token, refresh_client_token) and the legacy one
// (create_access_token, refresh_access_token). Tokens are real JWTs, signed with a key
// of the server's own. It also answers what Telnyx's own SDKs send and the document rules
// out, unless [Config].Strict is set: a request without a body, and an API key on refresh,
// which it counts in [Calls].KeyLeaks.
//
// # Time
//
// All times come from [Config].Clock: expiry, latency, rate limits and the duration of
// faults. To test behavior over time, prefer [testing/synctest] with package
// roomtokentest, which needs no network: a goroutine that waits for a socket keeps the
// time of a bubble from advancing. For a test that needs the HTTP API, set Config.Clock
// to a [github.com/benbjohnson/clock.Mock], the same one as in the code under test, and
// call its Add from one goroutine only. Do not call its Timer, Ticker, After, Tick or
// Sleep: they run due timers themselves and can deadlock with Add. This package uses
// AfterFunc alone.
package telnyxtest
