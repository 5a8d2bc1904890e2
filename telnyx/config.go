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

// Config says how a [Source] reaches Telnyx. The zero Config is a good one where
// the environment variable TELNYX_API_KEY is set.
//
// A Config prints without its API key: under the verbs of package fmt, in
// log/slog, and in every encoder that honours [encoding.TextMarshaler]. The
// exceptions are where package fmt calls no methods: a Config in an unexported
// field of another struct, and the verbs %p and %w, which go vet refuses for it.
// APIKeyFunc has none.
type Config struct {
	// APIKey is the Telnyx API key, sent with Create and with nothing else.
	// Defaults to the environment variable TELNYX_API_KEY.
	APIKey string

	// APIKeyFunc, if set, is asked for the API key at every Create, for keys
	// that rotate; APIKey must then be empty, and the environment is not looked
	// at. It is called from several goroutines at a time and should honour its
	// ctx, which is the one of the Create. Its error is returned wrapped, and so
	// is a passing failure unless it wraps [roomtoken.ErrPermanent]; its panic
	// becomes an error.
	APIKeyFunc func(context.Context) (string, error)

	// BaseURL is where the API is. Its scheme is https, or http where the host
	// is a loopback address or localhost, since the requests carry credentials;
	// it has no user, query or fragment. Defaults to the environment variable
	// TELNYX_BASE_URL, or to https://api.telnyx.com/v2 where that is empty.
	BaseURL string

	// HTTPClient makes the requests. It is copied, never changed; the copy
	// refuses all redirects and has no cookie jar, so that credentials go where
	// they are meant to and nowhere else. Defaults to a client of the Source's
	// own, with timeouts and connection limits fit for hundreds of concurrent
	// calls and the proxy of the environment (see [http.ProxyFromEnvironment]).
	HTTPClient *http.Client

	// TokenTTL is how long client tokens live: whole seconds, 10 s to 1 h. A
	// token is never taken to live longer, whatever the answer says. Zero: the
	// request leaves the choice to Telnyx, whose default is 600 s.
	TokenTTL time.Duration

	// RefreshTokenTTL is how long refresh tokens live: whole seconds, 60 s to
	// 24 h; it may be less than TokenTTL. A refresh token is never taken to
	// live longer. Zero: the request leaves the choice to Telnyx, whose default
	// is 3600 s.
	RefreshTokenTTL time.Duration

	// Endpoints is the pair of endpoints to call. Defaults to ClientTokens.
	Endpoints Endpoints

	// UserAgent is sent with every request. Defaults to one that names this
	// library.
	UserAgent string

	// Clock is the time, for tests: a *clock.Mock, say. It must be the one of
	// the Manager. Defaults to the real one.
	Clock clock.Clock
}

const (
	defaultBaseURL   = "https://api.telnyx.com/v2"
	defaultUserAgent = "roomtoken (+https://github.com/roomtoken/roomtoken)"

	// The bounds of the API for the lifetimes that a request can ask for. The
	// upper ones are also the most that a lifetime in an answer is believed.
	minTokenTTL        = 10 * time.Second
	maxTokenTTL        = time.Hour
	minRefreshTokenTTL = time.Minute
	maxRefreshTokenTTL = 24 * time.Hour
)

// withDefaults returns c with every empty field but the lifetimes replaced by
// its default, or an error that names every field that cannot be.
func (c Config) withDefaults() (Config, error) {
	var errs []error

	switch {
	case c.APIKeyFunc != nil && c.APIKey != "":
		errs = append(errs, errors.New("telnyx: Config.APIKey and Config.APIKeyFunc are both set; want one"))
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
	if err := checkBaseURL(c.BaseURL); err != nil {
		errs = append(errs, fmt.Errorf("telnyx: %s %w", name, err))
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")

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

// checkTTL returns an error unless ttl is zero or within the bounds of the API,
// which counts in whole seconds.
func checkTTL(field string, ttl, least, most time.Duration) error {
	if ttl == 0 || ttl >= least && ttl <= most && ttl%time.Second == 0 {
		return nil
	}
	return fmt.Errorf("telnyx: Config.%s is %v; want whole seconds from %v to %v, or 0 for Telnyx's default", field, ttl, least, most)
}

// checkBaseURL returns an error unless requests that carry credentials may go to
// raw. The error quotes nothing that could be a credential: what does not parse
// may hold one anywhere.
func checkBaseURL(raw string) error {
	base, err := url.Parse(raw)
	switch {
	case err != nil || base.Hostname() == "" || base.Scheme != "https" && base.Scheme != "http":
		return errors.New("is no URL of the form https://host/path")
	case base.User != nil:
		return errors.New("contains a user name or password; want https://host/path")
	case strings.ContainsAny(raw, "?#"): // also an empty query or fragment, which Parse drops
		return errors.New("contains a query or fragment; want https://host/path")
	case base.Scheme == "http" && !isLoopback(base.Hostname()):
		return fmt.Errorf("would send credentials in the clear to %q; want https, or a loopback host", base.Hostname())
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
