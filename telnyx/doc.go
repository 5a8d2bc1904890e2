// Package telnyx is the [roomtoken.TokenSource] for Telnyx video rooms: it mints
// and refreshes the tokens with which a participant joins a room.
//
//	source, err := telnyx.NewSource(telnyx.Config{}) // the key is in TELNYX_API_KEY
//	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
//	token, err := manager.Token(ctx, roomID)
//
// # Calls
//
// [Source.Create] sends the API key and returns a client token and a refresh
// token. [Source.Refresh] sends the refresh token alone: the endpoint needs no
// key and is never given one. Telnyx does not rotate refresh tokens, so a chain
// of refreshes ends when the first refresh token lapses, at most 24 hours after
// the Create.
//
// # Errors
//
// An answer that is not a success is an [*APIError]. What a Manager does about
// it depends on its status:
//
//	status                        from Create                from Refresh
//	3xx                           roomtoken.ErrPermanent     a passing failure
//	408, 409, 5xx                 a passing failure          a passing failure
//	429                           roomtoken.ErrRateLimited   roomtoken.ErrRateLimited
//	any other 4xx                 roomtoken.ErrPermanent     roomtoken.ErrRefreshRejected
//
// A success whose body is no usable grant wraps [roomtoken.ErrInvalidGrant]. A
// room ID that is no UUID is permanent and never leaves the process. Everything
// else, such as a connection that breaks, is a passing failure.
//
// # Clocks
//
// The expiries in a Grant are on this machine's clock, whatever it shows and
// whatever Telnyx's shows: only differences between two of Telnyx's own times
// are used, counted from the moment of the request. See [Source] for the rule.
//
// # Secrets
//
// API keys, refresh tokens and client tokens appear in no error and in no
// printed form of a [Config] or [Source]. Text that a server supplies is bounded,
// freed of control characters, and searched for them.
package telnyx
