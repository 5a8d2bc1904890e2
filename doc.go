// Package roomtoken keeps the access tokens of many rooms fresh, for services that run
// for months: recorders, bots, gateways, and back ends that let people into video
// rooms.
//
// A [TokenSource] mints and refreshes the tokens of one room; package
// [github.com/roomtoken/roomtoken/telnyx] has the one for Telnyx video rooms. A
// [Manager] wraps it:
//
//	source, err := telnyx.NewSource(telnyx.Config{}) // reads the key from TELNYX_API_KEY
//	...
//	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
//	...
//	defer manager.Close()
//
//	tok, err := manager.Token(ctx, roomID) // from memory, in nanoseconds
//	join(roomID, tok.Value.Reveal())
//
// If you hold a connection longer than a token lives, Watch pushes each new token to
// you:
//
//	for tok, err := range manager.Watch(ctx, roomID) {
//		if err != nil {
//			log.Print(err) // the watch goes on, unless this was the last pair
//			continue
//		}
//		room.UpdateClientToken(tok.Value.Reveal())
//	}
//
// Subscribe does the same for code that waits for other things too, in a select.
//
// If a token is refused, say so and ask again:
//
//	manager.Invalidate(roomID, tok)
//	tok, err = manager.Token(ctx, roomID)
//
// # How it works
//
// A room's token is created once, however many callers ask at the same time. It is
// renewed in the background well before it expires: after two thirds of its lifetime,
// or up to a tenth of the lifetime earlier. While there is a valid token nobody waits:
// a renewal that is slow or fails is retried with backoff, and nobody notices unless
// the token expires meanwhile. When the refresh token has lapsed or is refused, a new
// token is created.
//
// Callers are independent of each other: each one leaves when its own ctx ends, and
// the call that they share goes on for the rest. A failing source is not hammered:
// there is one attempt per room and backoff step, however many callers ask, and one
// probe at a time when the source fails for all rooms. A Retry-After is honoured.
//
// A token's age is measured on two clocks, so that neither a step of the wall clock
// nor a suspended machine makes the Manager hand out an expired token.
//
// Tokens are [Secret] values: no log, error, event or fmt verb shows them.
//
// # Errors
//
// An error for a room is an [Error]: it names the room and what failed, says when the
// next attempt may begin ([Error.RetryAfter]), and wraps the source's error. Besides the
// errors of your source, check for [ErrPermanent], [ErrUnauthorized], [ErrRoomNotFound],
// [ErrRateLimited], [ErrTooShort], [ErrTooManyRooms] and [ErrClosed] with [errors.Is]. A
// panic in the source is a [PanicError].
//
// # Testing
//
// Package [github.com/roomtoken/roomtoken/roomtokentest] has a source whose answers a
// test decides, and [github.com/roomtoken/roomtoken/telnyx/telnyxtest] a Telnyx API in
// the process. For tests of time, a testing/synctest bubble is the first choice: a
// Manager runs in it as it is. A *clock.Mock in Config.Clock is the second.
package roomtoken
