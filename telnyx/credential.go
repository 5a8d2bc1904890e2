package telnyx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
)

// CredentialSource is a [roomtoken.TokenSource] that mints the tokens of telephony
// credentials, with which browsers make and take calls (WebRTC). NewCredentialSource makes
// one. It is safe for concurrent use.
//
// The keys of its Manager are the IDs of credentials, where those of a [Source] are the
// IDs of rooms. A token is good for 24 hours, or until the credential ends. There is no
// refresh token: each renewal is a create.
//
// Telnyx's clock is the later one of the Date header and the token's iat claim. The
// lifetime is what is left until the token's exp claim, less a second, and at most 24
// hours; [Source] has the details. A token without these claims is
// [roomtoken.ErrInvalidGrant]. Errors, redaction and connections are those of a
// Source, too.
type CredentialSource struct{ *client }

var _ roomtoken.TokenSource = (*CredentialSource)(nil)

// NewCredentialSource returns a CredentialSource for config, or an error that names every
// invalid field. TokenTTL, RefreshTokenTTL and Endpoints must be zero: the API has no such
// choices for these tokens. NewCredentialSource makes no request. It reads the environment
// variables named in [Config]; the CredentialSource does not read them again.
func NewCredentialSource(config Config) (*CredentialSource, error) {
	noChoices := config.checkNoChoices()
	config.TokenTTL, config.RefreshTokenTTL, config.Endpoints = 0, 0, 0
	c, err := config.withDefaults()
	if err := errors.Join(err, noChoices); err != nil {
		return nil, err
	}
	client, err := newClient(c, credentialIDs, http.Header{"Accept": {"text/plain"}})
	if err != nil {
		return nil, err
	}
	return &CredentialSource{client}, nil
}

// checkNoChoices returns an error that names the fields that only a Source has a use for.
func (c Config) checkNoChoices() error {
	var set []string
	for _, field := range [...]struct {
		name string
		set  bool
	}{
		{"TokenTTL", c.TokenTTL != 0},
		{"RefreshTokenTTL", c.RefreshTokenTTL != 0},
		{"Endpoints", c.Endpoints != 0},
	} {
		if field.set {
			set = append(set, "Config."+field.name)
		}
	}
	if set == nil {
		return nil
	}
	return fmt.Errorf("telnyx: %s must be zero for a CredentialSource: the API has no such choice", strings.Join(set, ", "))
}

// CloseIdleConnections closes the idle connections of the default HTTP client, which it
// otherwise closes after 50 s. It does nothing if Config.HTTPClient was set. The
// CredentialSource remains usable.
func (s *CredentialSource) CloseIdleConnections() { s.closeIdleConnections() }

// Create mints a token for a telephony credential with the API key. credentialID, or what
// Config.RoomID returns for it, must consist of 1 to 64 letters, digits, hyphens and
// underscores; otherwise Create returns [roomtoken.ErrRoomNotFound] without making a
// request. The package documentation lists the other errors: ErrRoomNotFound means that
// there is no such credential.
//
// If the API refuses a key from Config.APIKeyFunc with [roomtoken.ErrUnauthorized], Create
// asks for the key again, and repeats the request once if the key is now another.
func (s *CredentialSource) Create(ctx context.Context, credentialID string) (roomtoken.Grant, error) {
	c, err := s.newCall(roomtoken.CallCreate, credentialID, roomtoken.ErrRoomNotFound)
	if err != nil {
		return roomtoken.Grant{}, err
	}
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	resp, err := s.create(ctx, &c, "/telephony_credentials/"+url.PathEscape(c.id)+"/token", nil)
	if err != nil {
		return roomtoken.Grant{}, err
	}
	return decodeCredentialToken(c, resp)
}

// Refresh returns [roomtoken.ErrRefreshRejected] without making a request: there are no
// refresh tokens.
func (s *CredentialSource) Refresh(_ context.Context, credentialID string, _ roomtoken.Token) (roomtoken.Grant, error) {
	c, err := s.newCall(roomtoken.CallRefresh, credentialID, roomtoken.ErrRefreshRejected)
	if err != nil {
		return roomtoken.Grant{}, err
	}
	return roomtoken.Grant{}, c.fail("there are no refresh tokens for credentials", roomtoken.ErrRefreshRejected)
}

// decodeCredentialToken converts a success into a grant. Its body is a JWT, bare or as a
// JSON string.
func decodeCredentialToken(c call, resp *response) (roomtoken.Grant, error) {
	body := bytes.TrimSpace(resp.body)
	if body[0] == '<' || mediaType(resp.header) == "text/html" {
		return roomtoken.Grant{}, c.failGrant("the body is HTML, not a token; is there a proxy in front of the API?")
	}
	token := string(body)
	if body[0] == '"' {
		if json.Unmarshal(body, &token) != nil {
			return roomtoken.Grant{}, c.failGrant("the body is neither a JWT nor a JSON string")
		}
		token = strings.TrimSpace(token)
	}
	if len(token) > maxToken || !isJWT(token) {
		return roomtoken.Grant{}, c.failGrant("the body (%d bytes) is not a JWT", len(body))
	}
	times := issueOf(token, time.Time{})
	if times.iat.IsZero() || times.exp.IsZero() {
		return roomtoken.Grant{}, c.failGrant("the token has no lifetime: the claim iat or exp is missing")
	}
	clock := resp.issuerClock(times, issue{})
	lifetime := clock.lifetime(times, maxCredentialTTL)
	if lifetime <= 0 {
		return roomtoken.Grant{}, c.failGrant("the token has no time left: it expires at %s, and %v", times.exp.Format(time.RFC3339), clock)
	}
	return roomtoken.Grant{
		Token:    roomtoken.Token{Value: roomtoken.NewSecret(token), ExpiresAt: resp.sent.Add(lifetime)},
		IssuedAt: resp.sent,
	}, nil
}
