package telnyx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/benbjohnson/clock"
)

// Config configures a [Source] or a [CredentialSource]. The zero Config uses the defaults,
// with the API key from the environment variable TELNYX_API_KEY.
//
// A Config prints without its API key: with package fmt, log/slog, and every encoder
// that supports [encoding.TextMarshaler]. The exceptions are the cases in which package
// fmt calls no methods: a Config in an unexported field of another struct, and the verbs
// %p and %w, which go vet reports. With APIKeyFunc there is no key to print.
type Config struct {
	// APIKey is the Telnyx API key. It is sent with Create only. Defaults to the
	// environment variable TELNYX_API_KEY.
	APIKey string

	// APIKeyFunc, if not nil, returns the API key for a Create. Use it for keys that
	// rotate. APIKey must then be empty, and TELNYX_API_KEY is ignored.
	//
	// Creates that need the key at the same time share one call of it, which gets the
	// ctx of the Create that began it. If that ctx ends first, the call is abandoned, and
	// the others begin another. A key is not kept for later Creates. If the API refuses
	// the key with [roomtoken.ErrUnauthorized], APIKeyFunc is called again, and the Create
	// is repeated once if it returns another key; otherwise the first error stands.
	//
	// If APIKeyFunc fails, Create returns its error wrapped: a transient failure unless
	// the error wraps [roomtoken.ErrPermanent]. If it panics or calls [runtime.Goexit],
	// or while 16 abandoned calls have not returned, Create fails, too. A malformed key is
	// a permanent failure.
	APIKeyFunc func(context.Context) (string, error)

	// RoomID, if not nil, returns the ID of the room that a key stands for, where the
	// keys of the Manager are not room IDs: "ROOM/PARTICIPANT" for instance, for a token
	// per participant. The Manager caches by key; Create and Refresh are called for the
	// room. For a [CredentialSource] it returns the ID of the credential.
	//
	// It is called for each Create and Refresh, concurrently, and must not block. If it
	// fails, panics, or returns what cannot be an ID, no request is made: Create returns
	// an error that wraps its error and [roomtoken.ErrRoomNotFound], so that a malformed
	// key does not make a Manager doubt the API key, and Refresh one that wraps its error
	// and [roomtoken.ErrRefreshRejected]. For the same reason, an error that is
	// [roomtoken.ErrUnauthorized] or [roomtoken.ErrRateLimited] is not wrapped. Defaults to
	// the key itself.
	RoomID func(key string) (roomID string, err error)

	// BaseURL is the base URL of the API. Its scheme must be https, or http if the
	// host is localhost or a loopback address, since requests carry credentials. It
	// must not have a user, a query or a fragment. Defaults to the environment
	// variable TELNYX_BASE_URL, or else to https://api.telnyx.com/v2.
	BaseURL string

	// AllowPlainHTTP allows an http BaseURL with any host, for tests in which the API is
	// another container, such as http://telnyx-fake:8080/v2. Never set it in production:
	// the API key and all tokens are sent in the clear.
	AllowPlainHTTP bool

	// HTTPClient makes the requests. The Source uses a copy of it that follows no
	// redirects and has no cookie jar, so that credentials reach the API only.
	// Defaults to a client with the transport that NewTransport returns.
	//
	// After a call on a reused connection that got no answer, the Source closes the idle
	// connections of the client's transport, those to other hosts included. So give it a
	// transport of its own, not [http.DefaultTransport].
	HTTPClient *http.Client

	// WrapTransport, if not nil, wraps the transport of the default HTTP client, which
	// keeps its timeouts and pings. It is called once. HTTPClient must then be nil.
	WrapTransport func(http.RoundTripper) http.RoundTripper

	// TokenTTL is the lifetime of client tokens: 10 s to 1 h, in whole seconds. The
	// Source never assumes a longer one, whatever the response says. Zero lets Telnyx
	// choose (its documented default is 600 s).
	TokenTTL time.Duration

	// RefreshTokenTTL is the lifetime of refresh tokens: 60 s to 24 h, in whole
	// seconds. It may be less than TokenTTL. The Source never assumes a longer one.
	// Zero lets Telnyx choose (its documented default is 3600 s).
	RefreshTokenTTL time.Duration

	// Endpoints is the pair of endpoints to call. Defaults to ClientTokens.
	Endpoints Endpoints

	// UserAgent is the User-Agent header of every request. Defaults to one that names
	// this library.
	UserAgent string

	// Clock is the source of the current time, for tests. It must be the Manager's
	// Clock. Prefer [testing/synctest] with a nil Clock; a *clock.Mock is the second
	// choice. Defaults to the real clock.
	Clock clock.Clock
}

const (
	defaultBaseURL   = "https://api.telnyx.com/v2"
	defaultUserAgent = "roomtoken (+https://github.com/roomtoken/roomtoken)"

	// The lifetimes that a request can ask for, from Telnyx's API document. The
	// upper limits also cap the lifetimes in responses.
	minTokenTTL        = 10 * time.Second
	maxTokenTTL        = time.Hour
	minRefreshTokenTTL = time.Minute
	maxRefreshTokenTTL = 24 * time.Hour

	// The documented lifetime of the tokens of telephony credentials. The exp in their
	// example lies 28 days after its iat, and is not to be trusted beyond this.
	maxCredentialTTL = 24 * time.Hour
)

// withDefaults returns c with the defaults filled in, except for the lifetimes, or an
// error that names every invalid field.
func (c Config) withDefaults() (Config, error) {
	var errs []error

	switch {
	case c.APIKeyFunc != nil && c.APIKey != "":
		errs = append(errs, errors.New("telnyx: Config.APIKey and Config.APIKeyFunc are both set; set only one"))
	case c.APIKeyFunc == nil:
		name := "Config.APIKey"
		if c.APIKey == "" {
			name = "the environment variable TELNYX_API_KEY"
			c.APIKey = os.Getenv("TELNYX_API_KEY")
		}
		if c.APIKey == "" {
			errs = append(errs, errors.New("telnyx: no API key; set Config.APIKey, Config.APIKeyFunc or the environment variable TELNYX_API_KEY"))
		} else if err := checkAPIKey(c.APIKey); err != nil {
			errs = append(errs, fmt.Errorf("telnyx: %s %w", name, err))
		}
	}

	name := "Config.BaseURL"
	if c.BaseURL == "" {
		name = "the environment variable TELNYX_BASE_URL"
		c.BaseURL = os.Getenv("TELNYX_BASE_URL")
	}
	if c.BaseURL == "" {
		c.BaseURL = defaultBaseURL
	}
	if err := checkBaseURL(c.BaseURL, c.AllowPlainHTTP); err != nil {
		errs = append(errs, fmt.Errorf("telnyx: %s %w", name, err))
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")

	if c.HTTPClient != nil && c.WrapTransport != nil {
		errs = append(errs, errors.New("telnyx: Config.HTTPClient and Config.WrapTransport are both set; set only one"))
	}

	errs = append(errs,
		checkTTL("TokenTTL", c.TokenTTL, minTokenTTL, maxTokenTTL),
		checkTTL("RefreshTokenTTL", c.RefreshTokenTTL, minRefreshTokenTTL, maxRefreshTokenTTL))
	if !c.Endpoints.known() {
		errs = append(errs, fmt.Errorf("telnyx: Config.Endpoints is %v; want ClientTokens or AccessTokens", c.Endpoints))
	}

	if c.UserAgent == "" {
		c.UserAgent = defaultUserAgent
	}
	if strings.ContainsFunc(c.UserAgent, isControl) {
		errs = append(errs, errors.New("telnyx: Config.UserAgent contains control characters"))
	}
	if c.Clock == nil {
		c.Clock = clock.New()
	}
	return c, errors.Join(errs...)
}

// checkTTL returns an error unless ttl is zero, or within the limits and in whole
// seconds.
func checkTTL(field string, ttl, least, most time.Duration) error {
	if ttl == 0 || ttl >= least && ttl <= most && ttl%time.Second == 0 {
		return nil
	}
	return fmt.Errorf("telnyx: Config.%s is %v; want whole seconds from %v to %v, or 0 for Telnyx's default", field, ttl, least, most)
}

// checkBaseURL returns an error unless requests with credentials may be sent to raw. The
// error does not quote raw, which may contain credentials.
func checkBaseURL(raw string, allowPlain bool) error {
	base, err := url.Parse(raw)
	switch {
	case err != nil || base.Hostname() == "" || base.Scheme != "https" && base.Scheme != "http":
		return errors.New("is not a URL of the form https://host/path")
	case base.User != nil:
		return errors.New("contains a user name or password; want https://host/path")
	case strings.ContainsAny(raw, "?#"): // catches empty ones, too, which Parse drops
		return errors.New("contains a query or fragment; want https://host/path")
	case base.Scheme == "http" && !allowPlain && !isLoopback(base.Hostname()):
		return fmt.Errorf("would send credentials in the clear to %q; want https, a loopback host, or for tests Config.AllowPlainHTTP", base.Hostname())
	}
	return nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
