// Package telnyxtest is a Telnyx rooms API in the process: what mints and
// refreshes the tokens of video rooms, on a loopback port, with faults on demand.
//
//	srv := telnyxtest.Start(t, telnyxtest.Config{})
//	source, err := telnyx.NewSource(telnyx.Config{BaseURL: srv.URL, APIKey: srv.APIKey})
//	...
//	srv.Inject(telnyxtest.Outage(6 * time.Second))       // every call answers 503
//	srv.RevokeRefreshTokens(room)                        // the next refresh is refused
//	if err := srv.Verify(room, token); err != nil { ... } // would the room let it in?
//
// It behaves as Telnyx's OpenAPI document says. Both pairs of endpoints are
// there, the current one (generate_join_client_token, refresh_client_token) and
// the legacy one (create_access_token, refresh_access_token). Tokens are real
// JWTs, signed with a key that each server draws for itself. Where the document
// is silent the server does the stricter thing: it refuses a refresh that
// carries an API key, and a request without a JSON body.
//
// All times come from [Config].Clock, which can be the fake clock of the code
// under test: expiry, latency, rate limits, and how long a fault lasts.
package telnyxtest
