package telnyxtest

import "strings"

// Endpoint is a set of the two HTTP endpoints of the API. The current and the legacy
// path of an endpoint are the same Endpoint.
type Endpoint uint8

// The endpoints.
const (
	Create  Endpoint = 1 << iota // generate_join_client_token, create_access_token
	Refresh                      // refresh_client_token, refresh_access_token

	Any = Create | Refresh
)

// String returns "create", "refresh", "any", or "other" for the zero Endpoint: a path
// that the API does not have.
func (e Endpoint) String() string {
	switch e {
	case Create:
		return "create"
	case Refresh:
		return "refresh"
	case Any:
		return "any"
	}
	return "other"
}

// basePath is the prefix of every path of the API.
const basePath = "/v2"

// route is one path of the API, with the names of its fields.
type route struct {
	endpoint  Endpoint
	legacy    bool
	ttl       string // request field
	token     string // response field
	expiresAt string // response field
}

// routes maps the last path element to its route. Telnyx documented the legacy pair
// from 2021-04-22 to 2021-05-04.
var routes = map[string]route{
	"generate_join_client_token": {Create, false, "token_ttl_secs", "token", "token_expires_at"},
	"refresh_client_token":       {Refresh, false, "token_ttl_secs", "token", "token_expires_at"},
	"create_access_token":        {Create, true, "ttl_secs", "access_token", "access_token_expires_at"},
	"refresh_access_token":       {Refresh, true, "ttl_secs", "access_token", "access_token_expires_at"},
}

// parsePath splits /v2/rooms/{room}/actions/{action}. It does not clean the path, so
// that clients that do not escape room IDs get an error.
func parsePath(path string) (r route, room string, ok bool) {
	rest, ok := strings.CutPrefix(path, basePath+"/rooms/")
	if !ok {
		return route{}, "", false
	}
	room, action, _ := strings.Cut(rest, "/actions/")
	r, ok = routes[action]
	return r, strings.ToLower(room), ok
}

// isUUID reports whether s has the form of a UUID in lower case.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
				return false
			}
		}
	}
	return true
}
