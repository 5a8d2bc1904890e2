// Package roomtoken keeps the access tokens of many rooms fresh, for services
// that run for months: recorders, bots, gateways, back ends that let people into
// video rooms.
//
// A [TokenSource] knows how to mint and to refresh the token of one room; package
// [github.com/roomtoken/roomtoken/telnyx] has the one for Telnyx video rooms. A
// [Manager] wraps it:
//
//	source, err := telnyx.NewSource(telnyx.Config{}) // the key is in TELNYX_API_KEY
//	...
//	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
//	...
//	defer manager.Close()
//
//	tok, err := manager.Token(ctx, roomID) // from memory, in nanoseconds
//	join(roomID, tok.Value.Reveal())
//
// Whoever holds a connection for longer than a token lives watches the room, and
// hands each new token to it:
//
//	for tok, err := range manager.Watch(ctx, roomID) {
//		if err != nil {
//			log.Print(err) // the watch goes on, unless this was the last pair
//			continue
//		}
//		room.UpdateClientToken(tok.Value.Reveal())
//	}
//
// And whoever is refused with a token says so, and asks again:
//
//	manager.Invalidate(roomID, tok)
//	tok, err = manager.Token(ctx, roomID)
//
// # What happens behind it
//
// A room's token is created once, however many callers ask at the same time, and
// renewed in the background well before it expires: after two thirds of its
// lifetime, or up to a tenth of the lifetime earlier. While there is a valid token
// nobody waits: a renewal that is slow or fails is tried again, with backoff, and
// seen by nobody until the token is really gone. When the refresh token has
// lapsed or is refused, a new token is created.
//
// Callers are independent of each other: each leaves when its own ctx ends, and
// the call that they share goes on for the rest. A source that fails is left
// alone: one attempt per room and step of the backoff, however many ask, and one
// probe at a time when it fails for all. What it asks for with a Retry-After is
// kept.
//
// A token's age is measured by two clocks, so that neither a wall clock that is
// stepped nor a machine that was suspended makes the Manager hand out a token
// that has expired.
//
// Tokens are [Secret] values: no log, error, event or fmt verb shows them.
//
// # Errors
//
// An error of a call names the room, says what failed and when the next attempt
// is due, and wraps the source's error. Beside those of the source look for
// [ErrPermanent], [ErrRateLimited], [ErrTooShort], [ErrTooManyRooms] and
// [ErrClosed] with [errors.Is].
//
// # Testing
//
// Package [github.com/roomtoken/roomtoken/roomtokentest] has a source whose
// answers a test decides, and
// [github.com/roomtoken/roomtoken/telnyx/telnyxtest] a Telnyx API in the process.
// A Manager runs on a *clock.Mock (Config.Clock), and inside a testing/synctest
// bubble.
package roomtoken
