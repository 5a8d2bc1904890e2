package telnyx

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// Source is a [roomtoken.TokenSource] that mints the tokens of Telnyx video
// rooms. NewSource makes one. It is safe for concurrent use.
//
// The expiries in its grants are on this machine's clock, and independent of differences
// between that clock and Telnyx's. They are never late, and early by at most a second
// plus the duration of the call. The lifetime of a token is its expiry in the body minus
// the Date header (RFC 9110, 6.6.1), or, if that is less and the token is a JWT, its exp
// minus its iat (RFC 7519, 4.1). The Source subtracts a second, since Date and iat are
// truncated to whole seconds, and counts the lifetime from the time of the request. If
// the response has no Date and the token is not a JWT, the Source takes the expiry as a
// time on this machine's clock. It caps lifetimes at the requested TTL, or at the API's
// maximum (1 h, and 24 h for refresh tokens).
//
// A call ends when its ctx does. With the default HTTP client, a call whose ctx has no
// deadline times out after 30 s.
type Source struct {
	baseURL            string // without a trailing slash
	endpoints          Endpoints
	apiKey             roomtoken.Secret // zero if keyFunc is set
	keyFunc            *keyFunc         // nil: the key is apiKey
	knownKeys          *knownKeys
	client             *http.Client
	ownsClient         bool
	header             http.Header // of every request
	clock              clock.Clock
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
	known := new(knownKeys)
	known.add(c.APIKey)
	var keys *keyFunc
	if c.APIKeyFunc != nil {
		keys = &keyFunc{call: c.APIKeyFunc}
	}
	return &Source{
		baseURL:    c.BaseURL,
		endpoints:  c.Endpoints,
		apiKey:     roomtoken.NewSecret(c.APIKey),
		keyFunc:    keys,
		knownKeys:  known,
		client:     newHTTPClient(c.HTTPClient),
		ownsClient: c.HTTPClient == nil,
		header: http.Header{
			"Accept":          {"application/json"},
			"Accept-Encoding": {"identity"}, // also keeps net/http from decompressing responses
			"Content-Type":    {"application/json"},
			"User-Agent":      {c.UserAgent},
		},
		clock:              c.Clock,
		createBody:         createBody,
		refreshRequest:     refresh,
		maxLifetime:        cmp.Or(c.TokenTTL, maxTokenTTL),
		maxRefreshLifetime: cmp.Or(c.RefreshTokenTTL, maxRefreshTokenTTL),
	}, nil
}

// CloseIdleConnections closes the idle connections of the default HTTP client, which it
// otherwise closes after 50 s. It does nothing if Config.HTTPClient was set. The Source
// remains usable.
func (s *Source) CloseIdleConnections() {
	if s.ownsClient {
		s.client.CloseIdleConnections()
	}
}

// Create mints a client token and a refresh token for a room with the API key. roomID
// must be a UUID in canonical form (RFC 9562, 4); otherwise Create returns
// [roomtoken.ErrRoomNotFound] without making a request. The package documentation lists the
// other errors.
//
// If the API refuses a key from Config.APIKeyFunc with [roomtoken.ErrUnauthorized], Create
// asks for the key again, and repeats the request once if the key is now another.
//
// The refresh token of the Grant has a zero ExpiresAt if the response does not say when
// it expires. It is missing if the one in the response has expired or is unusable: that
// is no reason to reject a good client token.
func (s *Source) Create(ctx context.Context, roomID string) (roomtoken.Grant, error) {
	if !isRoomID(roomID) {
		return roomtoken.Grant{}, badRoomID(roomtoken.CallCreate, roomID, roomtoken.ErrRoomNotFound)
	}
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	c := call{kind: roomtoken.CallCreate, roomID: roomID}
	key, err := s.currentKey(ctx, c)
	if err != nil {
		return roomtoken.Grant{}, err
	}
	c.redactor = append(s.knownKeys.redactor(), key)
	grant, err := s.exchange(ctx, c, "Bearer "+key, s.createBody)
	if s.keyFunc == nil || !errors.Is(err, roomtoken.ErrUnauthorized) {
		return grant, err
	}
	// The key may have been replaced since it was read.
	newKey, keyErr := s.currentKey(ctx, c)
	if keyErr != nil || newKey == key {
		return grant, err
	}
	c.redactor = append(c.redactor, newKey)
	return s.exchange(ctx, c, "Bearer "+newKey, s.createBody)
}

// Refresh mints a client token for a room with a refresh token, without the API key. The
// Grant has a refresh token only if the response has one; Telnyx's responses do not. For
// a zero refreshToken, and for a roomID that is not a UUID, Refresh returns
// [roomtoken.ErrRefreshRejected] without making a request.
func (s *Source) Refresh(ctx context.Context, roomID string, refreshToken roomtoken.Token) (roomtoken.Grant, error) {
	if !isRoomID(roomID) {
		return roomtoken.Grant{}, badRoomID(roomtoken.CallRefresh, roomID, roomtoken.ErrRefreshRejected)
	}
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	c := call{kind: roomtoken.CallRefresh, roomID: roomID}
	if refreshToken.IsZero() {
		return roomtoken.Grant{}, c.fail("the refresh token is empty", roomtoken.ErrRefreshRejected)
	}
	c.redactor = append(s.knownKeys.redactor(), refreshToken.Value.Reveal())
	request := s.refreshRequest
	request.RefreshToken = refreshToken.Value.Reveal()
	body, err := json.Marshal(request)
	if err != nil {
		return roomtoken.Grant{}, c.fail(err.Error(), err)
	}
	grant, err := s.exchange(ctx, c, "", body)
	if grant.RefreshToken.ExpiresAt.IsZero() && grant.RefreshToken.Value.Equal(refreshToken.Value) {
		grant.RefreshToken = roomtoken.Token{} // the same token: keep the previous one, whose expiry is known
	}
	return grant, err
}

// withTimeout returns the ctx for a call. With the default HTTP client it has a deadline.
func (s *Source) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if !s.ownsClient || ctx == nil { // exchange returns an error for a nil ctx
		return ctx, func() {}
	}
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, wholeTimeout)
}

// exchange makes one request and converts the response into a grant.
func (s *Source) exchange(ctx context.Context, c call, authorization string, body []byte) (roomtoken.Grant, error) {
	// The room ID is a UUID here. Escape it all the same, as a second defense against
	// paths to other endpoints.
	target := s.baseURL + "/rooms/" + url.PathEscape(c.roomID) + "/actions/" + s.endpoints.action(c.kind)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return roomtoken.Grant{}, c.fail(c.clean(err.Error(), maxOwnText), err)
	}
	req.Header = maps.Clone(s.header) // a shallow copy will do: transports must not modify requests
	if authorization != "" {
		req.Header["Authorization"] = []string{authorization}
	}

	sent := s.clock.Now().Round(0).UTC()
	resp, err := s.client.Do(req)
	if err != nil {
		return roomtoken.Grant{}, c.failNetwork(err)
	}
	body, err = readBody(resp)
	switch status := resp.StatusCode; {
	case status == http.StatusOK, status == http.StatusCreated:
	case status <= 299:
		return roomtoken.Grant{}, c.failGrant("the status is %s, not 201 Created", statusName(status))
	default:
		return roomtoken.Grant{}, newAPIError(c, resp, body, err == nil, s.clock.Now())
	}
	if err != nil {
		return roomtoken.Grant{}, c.failBody(ctx, err)
	}
	answer, err := decodeAnswer(c, resp.Header, body)
	if err != nil {
		return roomtoken.Grant{}, err
	}
	return s.grant(c, answer, times{sent: sent, date: dateOf(resp.Header)})
}
