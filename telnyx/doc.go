// Package telnyx provides the [roomtoken.TokenSource] for Telnyx video rooms: it mints
// and refreshes the tokens with which participants join a room.
//
//	source, err := telnyx.NewSource(telnyx.Config{}) // the API key is in TELNYX_API_KEY
//	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
//	token, err := manager.Token(ctx, roomID)
//
// # Calls
//
// [Source.Create] sends the API key and returns a client token and a refresh token.
// [Source.Refresh] sends the refresh token only: the endpoint needs no API key and
// never receives it. Telnyx does not rotate refresh tokens, so a chain of refreshes ends
// when the first refresh token lapses, at most 24 hours after the Create.
//
// # Errors
//
// A response with an error status is an [*APIError]. The status decides what a Manager
// does next:
//
//	status                        from Create                from Refresh
//	3xx                           roomtoken.ErrPermanent     a transient failure
//	408, 409, 5xx                 a transient failure        a transient failure
//	429                           roomtoken.ErrRateLimited   roomtoken.ErrRateLimited
//	any other 4xx                 roomtoken.ErrPermanent     roomtoken.ErrRefreshRejected
//
// A success with an unusable body wraps [roomtoken.ErrInvalidGrant]. A room ID that is
// not a UUID is a permanent error, and no request is made. Everything else, such as a
// broken connection, is a transient failure: its error wraps none of these.
//
// # Clocks
//
// The expiries in a Grant are on this machine's clock, and hold even if that clock or
// Telnyx's is wrong: the Source computes them from the difference of two Telnyx times,
// added to the time of the request. [Source] has the details.
//
// # Secrets
//
// API keys, refresh tokens and client tokens appear neither in errors nor in the printed
// form of a [Config] or [Source]. Texts from the server are limited in length, stripped
// of control characters, and redacted.
package telnyx
