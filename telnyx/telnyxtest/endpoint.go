package telnyxtest

import "strings"

// Endpoint is a set of HTTP endpoints of the API. The current and the legacy path of an
// endpoint of rooms are the same Endpoint.
type Endpoint uint8

// The endpoints. The first two are about rooms, the third about the credentials of
// telephony.
const (
	Create          Endpoint = 1 << iota // rooms/{id}/actions/generate_join_client_token, .../create_access_token
	Refresh                              // rooms/{id}/actions/refresh_client_token, .../refresh_access_token
	CredentialToken                      // telephony_credentials/{id}/token

	Any = Create | Refresh | CredentialToken
)

// String returns "create", "refresh", "credential token", "any", several of them joined
// by "|", or "other" for the zero Endpoint: a path that the API does not have.
func (e Endpoint) String() string {
	switch e {
	case 0:
		return "other"
	case Any:
		return "any"
	}
	var names []string
	for i, name := range []string{"create", "refresh", "credential token"} {
		if e&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// normalize returns the ID of a room in lower case: room IDs are UUIDs, in either case.
// It returns the ID of a telephony credential as it is.
func (e Endpoint) normalize(id string) string {
	if e == CredentialToken {
		return id
	}
	return strings.ToLower(id)
}

// basePath is the prefix of every path of the API.
const basePath = "/v2"

// route is one path of the API, with the names of its fields if it is about rooms.
type route struct {
	endpoint  Endpoint
	legacy    bool
	ttl       string // request field
	token     string // response field
	expiresAt string // response field
}

// routes maps the part of the path behind the ID to its route. Telnyx documented the
// legacy pair from 2021-04-22 to 2021-05-04.
var routes = map[string]map[string]route{
	"rooms": {
		"actions/generate_join_client_token": {Create, false, "token_ttl_secs", "token", "token_expires_at"},
		"actions/refresh_client_token":       {Refresh, false, "token_ttl_secs", "token", "token_expires_at"},
		"actions/create_access_token":        {Create, true, "ttl_secs", "access_token", "access_token_expires_at"},
		"actions/refresh_access_token":       {Refresh, true, "ttl_secs", "access_token", "access_token_expires_at"},
	},
	"telephony_credentials": {
		"token": {endpoint: CredentialToken},
	},
}

// parsePath splits /v2/{collection}/{id}/{rest}. It does not clean or unescape the path,
// so that clients that do not escape IDs get an error.
func parsePath(path string) (r route, id string) {
	rest, ok := strings.CutPrefix(path, basePath+"/")
	if !ok {
		return route{}, ""
	}
	collection, rest, _ := strings.Cut(rest, "/")
	id, rest, _ = strings.Cut(rest, "/")
	r = routes[collection][rest]
	return r, r.endpoint.normalize(id)
}
