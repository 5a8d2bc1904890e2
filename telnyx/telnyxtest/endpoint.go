package telnyxtest

import "strings"

// Endpoint is one of the two calls of the API, or both. Current and legacy
// paths are the same Endpoint.
type Endpoint uint8

// The calls.
const (
	Create  Endpoint = 1 << iota // generate_join_client_token, create_access_token
	Refresh                      // refresh_client_token, refresh_access_token

	Any = Create | Refresh
)

// String returns "create", "refresh", "any", or "other" for a request that is
// neither.
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

// basePath begins every path of the API.
const basePath = "/v2"

// route is one path of the API and the names of its fields.
type route struct {
	endpoint  Endpoint
	legacy    bool
	ttl       string // request
	token     string // response
	expiresAt string // response
}

// routes by the last element of the path. The legacy pair was documented from
// 2021-04-22 to 2021-05-04.
var routes = map[string]route{
	"generate_join_client_token": {Create, false, "token_ttl_secs", "token", "token_expires_at"},
	"refresh_client_token":       {Refresh, false, "token_ttl_secs", "token", "token_expires_at"},
	"create_access_token":        {Create, true, "ttl_secs", "access_token", "access_token_expires_at"},
	"refresh_access_token":       {Refresh, true, "ttl_secs", "access_token", "access_token_expires_at"},
}

// parsePath splits /v2/rooms/{room}/actions/{action}, without cleaning it: a
// client that does not escape its room IDs should find out.
func parsePath(path string) (r route, room string, ok bool) {
	rest, ok := strings.CutPrefix(path, basePath+"/rooms/")
	if !ok {
		return route{}, "", false
	}
	room, action, _ := strings.Cut(rest, "/actions/")
	r, ok = routes[action]
	return r, strings.ToLower(room), ok
}

// isUUID reports whether s, in lower case, has the form of a UUID.
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
