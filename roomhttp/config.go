package roomhttp

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config configures a [Handler]. Only Authorize is required; in every other field zero
// means the default. Negative numbers and durations are errors, except where the field
// says otherwise.
type Config struct {
	// Authorize decides who may have a token for which room: nil lets the request through,
	// any error refuses it. See [ErrUnauthenticated], [ErrUnavailable] and
	// [roomtoken.ErrRoomNotFound] for errors that are not answered with 403. The text of
	// the error goes to the Logger and never to the client.
	//
	// roomID is the room as the client has named it: 1 to 1,024 bytes of UTF-8 without
	// control characters. Compare it as it is, and do not read the room from r.
	//
	// Authorize is called concurrently: for each request, and on a stream again before
	// each further token, with the request that opened the stream. It is not called again
	// for the first token that the stream sends, however late that comes; the one that
	// Last-Event-ID names counts as sent. On a stream Authorize delays the heartbeats, so
	// it should take seconds at most, and return when r.Context() ends, which Shutdown
	// brings about, too. If it panics, nobody gets a token: the panic goes on to the
	// http.Server, which logs it and aborts the connection.
	Authorize func(r *http.Request, roomID string) error

	// AllowOrigins are the other origins whose pages may use the Handler, such as
	// "https://app.example.com". They are compared exactly; there is no wildcard. The
	// origin that the Handler is served from need not be listed, as long as proxies in
	// front pass on the Host header: an Origin is compared with it. So do not serve hosts
	// that are not yours, or a page could rebind its own name to your server's address.
	// Defaults to none.
	AllowOrigins []string

	// AllowCredentials lets pages of AllowOrigins send cookies. It changes nothing for
	// pages of the Handler's own origin, which always may.
	AllowCredentials bool

	// AcceptRejections lets clients report that their token was refused, which makes the
	// Manager replace it for everybody ([roomtoken.Manager.Invalidate]). Any client that
	// Authorize lets through can then have a room's token replaced.
	AcceptRejections bool

	// Wait is how long a request waits for a token. Defaults to 10 s.
	Wait time.Duration

	// Heartbeat is the longest silence on a stream. It must be shorter than the idle
	// timeout of every proxy in between. Defaults to 15 s.
	Heartbeat time.Duration

	// WriteTimeout is how long one write to a stream may take. A client that does not read
	// is disconnected then. Defaults to 10 s.
	WriteTimeout time.Duration

	// Retry is how long clients wait at least before they open a stream again that has
	// broken off. Each stream tells its client a time from Retry to 5 times Retry, so that
	// clients that were cut off together do not come back together. Defaults to 1 s.
	Retry time.Duration

	// MaxStreams bounds the number of open streams. Negative: no bound. Defaults to 10,000.
	MaxStreams int

	// MaxStreamsPerRoom bounds the number of open streams of one room. Negative: no bound.
	// Defaults to 1,000.
	MaxStreamsPerRoom int

	// Logger receives why requests were refused or failed: at Warn what clients see as a
	// 5xx, at Info the other refusals, at most a few lines of each kind per minute, then
	// how many were left out. Those, and the comings and goings of streams, are at Debug.
	// It never receives a token. Defaults to none.
	Logger *slog.Logger
}

// The defaults. The doc comments of Config repeat them.
const (
	defaultWait              = 10 * time.Second
	defaultHeartbeat         = 15 * time.Second
	defaultWriteTimeout      = 10 * time.Second
	defaultRetry             = time.Second
	defaultMaxStreams        = 10_000
	defaultMaxStreamsPerRoom = 1_000
)

// longest is longer than any of the durations need be, yet short enough to be multiplied.
const longest = 365 * 24 * time.Hour

// withDefaults returns c with every zero replaced by its default, or an error that names
// every invalid field.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Authorize == nil {
		errs = append(errs, errors.New("roomhttp: Config.Authorize is nil; set a function that decides who may have a token for which room"))
	}
	for i, origin := range c.AllowOrigins {
		if err := checkOrigin(origin); err != nil {
			errs = append(errs, fmt.Errorf("roomhttp: Config.AllowOrigins[%d] %w", i, err))
		}
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration // what zero means
	}{
		{"Wait", &c.Wait, defaultWait},
		{"Heartbeat", &c.Heartbeat, defaultHeartbeat},
		{"WriteTimeout", &c.WriteTimeout, defaultWriteTimeout},
		{"Retry", &c.Retry, defaultRetry},
	} {
		switch {
		case *d.value == 0:
			*d.value = d.zero
		case *d.value < 0:
			errs = append(errs, fmt.Errorf("roomhttp: Config.%s is %v; want more than 0, or 0 for the default", d.name, *d.value))
		}
		*d.value = min(*d.value, longest)
	}
	c.MaxStreams = bound(c.MaxStreams, defaultMaxStreams)
	c.MaxStreamsPerRoom = bound(c.MaxStreamsPerRoom, defaultMaxStreamsPerRoom)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(errs...)
}

// bound returns the bound that n stands for.
func bound(n, zero int) int {
	switch {
	case n == 0:
		return zero
	case n < 0:
		return math.MaxInt
	default:
		return n
	}
}

// checkOrigin returns an error unless browsers send origin in just that form (RFC 6454,
// section 6.1). The error does not quote it: somebody may have put a password into it.
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || strings.Contains(origin, "*") {
		return errors.New(`is not an origin; want one such as "https://app.example.com"`)
	}
	host := strings.TrimSuffix(strings.ToLower(u.Host), ":")
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	if want := u.Scheme + "://" + host; origin != want {
		return fmt.Errorf("is not an origin as browsers send it; want %q", want)
	}
	if strings.ContainsFunc(origin, func(r rune) bool { return r > '~' }) {
		return errors.New("has a host that is not ASCII; browsers send it in Punycode")
	}
	return nil
}
