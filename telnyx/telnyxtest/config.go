package telnyxtest

import "github.com/benbjohnson/clock"

// DefaultAPIKey is the API key of a server without a [Config].APIKey.
const DefaultAPIKey = "KEY-of-telnyxtest"

// Config configures a [Server]. The zero Config uses the defaults.
type Config struct {
	// APIKey is the bearer token that Create and CredentialToken require. Defaults to
	// [DefaultAPIKey].
	APIKey string

	// Rooms lists the IDs of the rooms that exist, in either case. A call for any
	// other room gets a 404. Defaults to every UUID.
	Rooms []string

	// Credentials lists the IDs of the telephony credentials that exist, as they stand
	// in the path. A call for any other one gets a 404. Defaults to every ID of 1 to 64
	// letters, digits, "-" and "_".
	Credentials []string

	// Strict refuses two things that Telnyx's API document rules out, although Telnyx's
	// own SDKs do them: a Refresh with an Authorization header gets a 400, and a Create
	// or Refresh without a body a 415, or a 400 if its Content-Type is application/json.
	// Defaults to answering both.
	Strict bool

	// Clock is the source of all times (see the package documentation). Defaults to
	// the real clock.
	Clock clock.Clock

	// InMemory makes the server do without a socket: only its own Client reaches it,
	// over connections in memory, which behave like those of TCP. A goroutine that
	// waits for such a connection is durably blocked in the sense of
	// [testing/synctest], so the server works in a bubble (see the package
	// documentation).
	InMemory bool

	// OnRequest, if not nil, is called with every request once its response is
	// decided and before it is sent: a hook that blocks delays the response. It is
	// called concurrently, and may call any method of the Server but Close.
	OnRequest func(Request)
}
