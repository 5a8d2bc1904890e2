package telnyx

import (
	"fmt"
	"time"

	"github.com/roomtoken/roomtoken"
)

// Endpoints selects one of the two pairs of endpoints that Telnyx has had for room
// tokens. Both mint the same kind of tokens.
type Endpoints int

const (
	// ClientTokens is the current pair: generate_join_client_token and
	// refresh_client_token.
	ClientTokens Endpoints = iota

	// AccessTokens is the legacy pair: create_access_token and
	// refresh_access_token.
	AccessTokens
)

// String returns the name of the constant.
func (e Endpoints) String() string {
	switch e {
	case ClientTokens:
		return "ClientTokens"
	case AccessTokens:
		return "AccessTokens"
	}
	return fmt.Sprintf("Endpoints(%d)", int(e))
}

// known reports whether e is one of the constants.
func (e Endpoints) known() bool { return e == ClientTokens || e == AccessTokens }

// action returns the last path segment for a call.
func (e Endpoints) action(kind roomtoken.CallKind) string {
	switch {
	case e == AccessTokens && kind == roomtoken.CallCreate:
		return "create_access_token"
	case e == AccessTokens:
		return "refresh_access_token"
	case kind == roomtoken.CallCreate:
		return "generate_join_client_token"
	}
	return "refresh_client_token"
}

// request is the request body of all four endpoints. Each endpoint uses some of the
// fields, and the API has defaults for those that are missing. An empty request is sent
// as "{}", since the API requires a body.
type request struct {
	RefreshToken        string `json:"refresh_token,omitempty"`          // refresh
	TokenTTLSecs        int64  `json:"token_ttl_secs,omitempty"`         // ClientTokens
	TTLSecs             int64  `json:"ttl_secs,omitempty"`               // AccessTokens
	RefreshTokenTTLSecs int64  `json:"refresh_token_ttl_secs,omitempty"` // create
}

// request returns a body that asks for client tokens with the lifetime ttl.
func (e Endpoints) request(ttl time.Duration) request {
	seconds := int64(ttl / time.Second)
	if e == AccessTokens {
		return request{TTLSecs: seconds}
	}
	return request{TokenTTLSecs: seconds}
}
