package telnyx

import (
	"fmt"
	"time"
)

// Endpoints names one of the two pairs of endpoints that Telnyx has had for room
// tokens. The tokens are of the same kind.
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

// action is the last segment of the path of a call.
func (e Endpoints) action(op string) string {
	switch {
	case e == AccessTokens && op == opCreate:
		return "create_access_token"
	case e == AccessTokens:
		return "refresh_access_token"
	case op == opCreate:
		return "generate_join_client_token"
	}
	return "refresh_client_token"
}

// request is the body of both calls of both pairs: each sets the fields that it
// has, and the API's default applies to the others. A call without any still
// sends "{}", since a body is required.
type request struct {
	RefreshToken        string `json:"refresh_token,omitempty"`          // refresh
	TokenTTLSecs        int64  `json:"token_ttl_secs,omitempty"`         // ClientTokens
	TTLSecs             int64  `json:"ttl_secs,omitempty"`               // AccessTokens
	RefreshTokenTTLSecs int64  `json:"refresh_token_ttl_secs,omitempty"` // create
}

// request returns a body that asks for tokens that live for ttl.
func (e Endpoints) request(ttl time.Duration) request {
	seconds := int64(ttl / time.Second)
	if e == AccessTokens {
		return request{TTLSecs: seconds}
	}
	return request{TokenTTLSecs: seconds}
}
