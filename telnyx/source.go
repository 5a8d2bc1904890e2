package telnyx

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// Source is a [roomtoken.TokenSource] that mints the tokens of Telnyx video
// rooms. NewSource makes one. It is safe for concurrent use.
//
// The expiries of the grants that it returns are on this machine's clock, whatever
// the two clocks show: never too late, and too early by a second and the duration
// of the exchange at most. Telnyx says when a token expires, in the body, and what
// its clock shows, in the Date header; the difference is the lifetime, unless the
// token is a JWT whose own lifetime (exp less iat) is less. A second is taken off,
// since Date and iat are cut to whole seconds. The lifetime is counted from the
// moment of the request. Where the answer has no Date and the token is no JWT, the
// expiry is taken as it is, as one on this machine's clock. No token is taken to
// live longer than the request asked, or the API allows (1 h, and 24 h for refresh
// tokens) where the request asked nothing.
//
// A call ends with its ctx; on the Source's own HTTP client one whose ctx has no
// deadline gets 30 s.
type Source struct {
	baseURL            string // without a slash at its end
	endpoints          Endpoints
	apiKey             roomtoken.Secret // empty where apiKeyFunc is set
	apiKeyFunc         func(context.Context) (string, error)
	newestKey          *atomic.Pointer[roomtoken.Secret] // the one that apiKeyFunc returned last
	client             *http.Client
	ownsClient         bool
	header             http.Header // of every request
	clock              clock.Clock
	createBody         []byte  // the same for every room
	refreshRequest     request // but for its refresh token
	maxLifetime        time.Duration
	maxRefreshLifetime time.Duration
}

var _ roomtoken.TokenSource = (*Source)(nil)

const (
	opCreate  = "create"
	opRefresh = "refresh"
)

// NewSource returns a Source, or an error that names every field of config that
// is no good. It makes no request and reads the environment only here.
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
	return &Source{
		baseURL:    c.BaseURL,
		endpoints:  c.Endpoints,
		apiKey:     roomtoken.NewSecret(c.APIKey),
		apiKeyFunc: c.APIKeyFunc,
		newestKey:  new(atomic.Pointer[roomtoken.Secret]),
		client:     newHTTPClient(c.HTTPClient),
		ownsClient: c.HTTPClient == nil,
		header: http.Header{
			"Accept":          {"application/json"},
			"Accept-Encoding": {"identity"}, // so that no transport unpacks more than it was sent
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

// CloseIdleConnections closes the connections of the Source's own HTTP client
// that no call is using. They also close by themselves after a while. A client
// given in Config.HTTPClient is left alone. The Source can be used further.
func (s *Source) CloseIdleConnections() {
	if s.ownsClient {
		s.client.CloseIdleConnections()
	}
}

// Create mints a client token and a refresh token for a room, with the API key.
// roomID is a UUID in its canonical form; anything else is a permanent error,
// and nothing leaves the process.
//
// The refresh token of the Grant has a zero ExpiresAt where the answer does not
// say when it ends, and is missing where it has ended already: neither spoils
// a good client token. For the errors see [APIError] and the package's text.
func (s *Source) Create(ctx context.Context, roomID string) (roomtoken.Grant, error) {
	if !isRoomID(roomID) {
		return roomtoken.Grant{}, roomtoken.Permanent(badRoomID(opCreate, roomID))
	}
	c := call{op: opCreate, roomID: roomID}
	key, err := s.currentKey(ctx, c)
	if err != nil {
		return roomtoken.Grant{}, err
	}
	c.redactor = redactor{key}
	return s.exchange(ctx, c, "Bearer "+key, s.createBody)
}

// Refresh mints a client token for a room from a refresh token, without the API
// key. The Grant has a refresh token only if the answer has one, which Telnyx's
// do not. A zero refreshToken is [roomtoken.ErrRefreshRejected] without a
// request. For roomID and the errors see Create.
func (s *Source) Refresh(ctx context.Context, roomID string, refreshToken roomtoken.Token) (roomtoken.Grant, error) {
	if !isRoomID(roomID) {
		return roomtoken.Grant{}, roomtoken.Permanent(badRoomID(opRefresh, roomID))
	}
	c := call{op: opRefresh, roomID: roomID}
	if refreshToken.IsZero() {
		return roomtoken.Grant{}, c.fail("the refresh token is empty", roomtoken.ErrRefreshRejected)
	}
	c.redactor = redactor{refreshToken.Value.Reveal(), s.knownKey()}
	request := s.refreshRequest
	request.RefreshToken = refreshToken.Value.Reveal()
	body, err := json.Marshal(request)
	if err != nil {
		return roomtoken.Grant{}, c.fail(err.Error(), err)
	}
	grant, err := s.exchange(ctx, c, "", body)
	if grant.RefreshToken.ExpiresAt.IsZero() && grant.RefreshToken.Value.Equal(refreshToken.Value) {
		grant.RefreshToken = roomtoken.Token{} // an echo says nothing new: the previous one stays, with its expiry
	}
	return grant, err
}

// exchange makes one request and turns its answer into a grant.
func (s *Source) exchange(ctx context.Context, c call, authorization string, body []byte) (roomtoken.Grant, error) {
	if s.ownsClient {
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, wholeTimeout)
			defer cancel()
		}
	}
	// The room ID is a UUID by now; escaping it keeps that from being the only
	// thing that stands between a room ID and the rest of the API.
	target := s.baseURL + "/rooms/" + url.PathEscape(c.roomID) + "/actions/" + s.endpoints.action(c.op)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return roomtoken.Grant{}, c.fail(c.clean(err.Error(), maxOwnText), err)
	}
	req.Header = maps.Clone(s.header) // transports must not change the values
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
		return roomtoken.Grant{}, c.failGrant("the answer is %s instead of 201 Created", statusName(status))
	default:
		return roomtoken.Grant{}, newAPIError(c, resp, body, s.clock.Now()) // of its body, whatever came
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
