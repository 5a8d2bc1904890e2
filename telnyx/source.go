package telnyx

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Source is a [roomtoken.TokenSource] that mints the tokens of Telnyx video
// rooms. NewSource makes one. It is safe for concurrent use.
//
// The expiries in its grants are on this machine's clock, and never late, whatever the
// difference between that clock and Telnyx's. They are early by at most a second plus the
// duration of the call, and by what the Date of a proxy is fast.
//
// Telnyx's clock is the latest of the Date header (RFC 9110, 6.6.1) and the iat claims of
// the tokens that are JWTs (RFC 7519, 4.1). A token ends at its expiry in the body or at
// its exp claim, whichever comes first. The Source takes the difference, less a second,
// since Date and iat are truncated to whole seconds, and counts it from the time of the
// request. If the response has neither a Date nor an iat, it takes the expiries as times
// on this machine's clock. A Date by which the client token has expired already does not
// count if the newest iat agrees with this machine's clock to within a minute: the later
// of those two does. Lifetimes are capped at the requested TTL, or at the API's maximum
// (1 h, and 24 h for refresh tokens).
//
// A call ends when its ctx does. With the default HTTP client, a call whose ctx has no
// deadline times out after 30 s. If a call on a reused connection gets no answer, the
// next calls use new connections, until one is answered.
type Source struct {
	*client
	endpoints          Endpoints
	createBody         []byte  // the same for every room
	refreshRequest     request // without the refresh token
	maxLifetime        time.Duration
	maxRefreshLifetime time.Duration
}

var _ roomtoken.TokenSource = (*Source)(nil)

// NewSource returns a Source for config, or an error that names every invalid field. It
// makes no request. It reads the environment variables named in [Config]; the Source
// does not read them again.
func NewSource(config Config) (*Source, error) {
	c, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	refresh := c.Endpoints.request(c.TokenTTL)
	create := refresh
	create.RefreshTokenTTLSecs = int64(c.RefreshTokenTTL / time.Second)
	createBody, err := json.Marshal(create)
	if err != nil {
		return nil, err
	}
	client, err := newClient(c, roomIDs, http.Header{
		"Accept":       {"application/json"},
		"Content-Type": {"application/json"},
	})
	if err != nil {
		return nil, err
	}
	return &Source{
		client:             client,
		endpoints:          c.Endpoints,
		createBody:         createBody,
		refreshRequest:     refresh,
		maxLifetime:        cmp.Or(c.TokenTTL, maxTokenTTL),
		maxRefreshLifetime: cmp.Or(c.RefreshTokenTTL, maxRefreshTokenTTL),
	}, nil
}

// CloseIdleConnections closes the idle connections of the default HTTP client, which it
// otherwise closes after 50 s. It does nothing if Config.HTTPClient was set. The Source
// remains usable.
func (s *Source) CloseIdleConnections() { s.closeIdleConnections() }

// Create mints a client token and a refresh token for a room with the API key. roomID, or
// what Config.RoomID returns for it, must be a UUID in canonical form (RFC 9562, 4);
// otherwise Create returns [roomtoken.ErrRoomNotFound] without making a request. The
// package documentation lists the other errors.
//
// If the API refuses a key from Config.APIKeyFunc with [roomtoken.ErrUnauthorized], Create
// asks for the key again, and repeats the request once if the key is now another.
//
// The refresh token of the Grant has a zero ExpiresAt if the response does not say when
// it expires. It is missing if the one in the response has expired or is unusable: that
// is no reason to reject a good client token.
func (s *Source) Create(ctx context.Context, roomID string) (roomtoken.Grant, error) {
	c, err := s.newCall(roomtoken.CallCreate, roomID, roomtoken.ErrRoomNotFound)
	if err != nil {
		return roomtoken.Grant{}, err
	}
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	resp, err := s.create(ctx, &c, s.path(c), s.createBody)
	return s.decode(c, resp, err)
}

// Refresh mints a client token for a room with a refresh token, without the API key. The
// Grant has a refresh token only if the response has one; Telnyx's responses do not. For
// a zero refreshToken, and for a roomID that Create would refuse, Refresh returns
// [roomtoken.ErrRefreshRejected] without making a request.
func (s *Source) Refresh(ctx context.Context, roomID string, refreshToken roomtoken.Token) (roomtoken.Grant, error) {
	c, err := s.newCall(roomtoken.CallRefresh, roomID, roomtoken.ErrRefreshRejected)
	if err != nil {
		return roomtoken.Grant{}, err
	}
	if refreshToken.IsZero() {
		return roomtoken.Grant{}, c.fail("the refresh token is empty", roomtoken.ErrRefreshRejected)
	}
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	c.redactor = append(s.keys.known.redactor(), refreshToken.Value.Reveal())
	request := s.refreshRequest
	request.RefreshToken = refreshToken.Value.Reveal()
	body, err := json.Marshal(request)
	if err != nil {
		return roomtoken.Grant{}, c.fail(err.Error(), err)
	}
	resp, err := s.post(ctx, c, s.path(c), "", body)
	grant, err := s.decode(c, resp, err)
	if grant.RefreshToken.ExpiresAt.IsZero() && grant.RefreshToken.Value.Equal(refreshToken.Value) {
		grant.RefreshToken = roomtoken.Token{} // the same token: keep the previous one, whose expiry is known
	}
	return grant, err
}

// path returns the path of the endpoint for a call. The ID is a UUID; it is escaped all
// the same, as a second defense against paths to other endpoints.
func (s *Source) path(c call) string {
	return "/rooms/" + url.PathEscape(c.id) + "/actions/" + s.endpoints.action(c.kind)
}

// decode converts a response into a grant.
func (s *Source) decode(c call, resp *response, err error) (roomtoken.Grant, error) {
	if err != nil {
		return roomtoken.Grant{}, err
	}
	answer, err := decodeAnswer(c, resp)
	if err != nil {
		return roomtoken.Grant{}, err
	}
	return s.grant(c, answer, resp.times)
}
