// Package telnyx provides the [roomtoken.TokenSource] for Telnyx video rooms: it mints
// and refreshes the tokens with which participants join a room.
//
//	source, err := telnyx.NewSource(telnyx.Config{}) // the API key is in TELNYX_API_KEY
//	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
//	token, err := manager.Token(ctx, roomID)
//
// [CredentialSource] does the same for telephony credentials, with whose tokens browsers
// make and take calls.
//
// # Calls
//
// [Source.Create] sends the API key and returns a client token and a refresh token.
// [Source.Refresh] sends the refresh token only: the endpoint needs no API key and
// never receives it. Telnyx does not rotate refresh tokens, so a chain of refreshes ends
// when the first refresh token lapses, at most 24 hours after the Create.
// [CredentialSource.Create] sends the API key and returns a token; there is no refresh.
//
// No request asks for anything that must not happen twice, so net/http may send one again:
// if the server closes a kept-alive connection at that very moment, for instance.
//
// # Keys
//
// The keys of a Manager are room IDs: UUIDs. A Manager takes two spellings of one for two
// rooms; [ParseRoomID] brings IDs from outside into one form. With [Config].RoomID the keys
// can be anything that leads to a room, for a token per participant for instance.
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
// Some of the permanent failures of Create are also one of these, so that a Manager knows
// whether the other rooms are affected:
//
//	roomtoken.ErrUnauthorized     401, or a code that means the API key or the account:
//	                              10009, 20001, 20002, 20003, 20008, 20012, 20013, 20100
//	roomtoken.ErrRoomNotFound     otherwise, code 10005 or 65001, or a 404 whose body is
//	                              JSON or empty
//
// A 404 with text or HTML is not from the API, and says nothing about the room: the base
// URL may be wrong. For a CredentialSource the room is the credential.
//
// A room ID that is not a UUID, and a key for which Config.RoomID fails, is
// roomtoken.ErrRoomNotFound from Create and roomtoken.ErrRefreshRejected from Refresh, and
// no request is made. A success with an
// unusable body wraps [roomtoken.ErrInvalidGrant]. Everything else, such as a broken
// connection, is a transient failure: its error wraps none of these.
//
// # Clocks
//
// The expiries in a Grant are on this machine's clock, and hold even if that clock or
// Telnyx's is wrong: the Source computes them from the difference of two Telnyx times,
// added to the time of the request. [Source] has the details.
//
// # Connections
//
// A connection can die silently, behind a NAT or while a laptop is suspended. The call that
// meets one fails when its ctx ends, and the next ones use new connections, until one of
// them is answered. This works for every Config.HTTPClient whose transport reports to
// [net/http/httptrace], as [http.Transport] does, wrapped or not. The idle connections of
// that transport are closed then, those to other hosts included.
//
// # Secrets
//
// API keys, refresh tokens and client tokens appear neither in errors nor in the printed
// form of a [Config] or [Source]. Texts from the server are limited in length, stripped
// of control characters, and redacted.
package telnyx
