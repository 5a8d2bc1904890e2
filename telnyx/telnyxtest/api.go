package telnyxtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"time"
)

// bounds are the document's for a lifetime, in seconds.
type bounds struct{ min, max, standard int64 }

var (
	tokenTTL        = bounds{10, 3600, 600}
	refreshTokenTTL = bounds{60, 86400, 3600}
)

// problem is a failure that the API answers.
type problem struct {
	status int
	err    Error
}

// refuse makes a problem of a known code.
func refuse(status int, code string) *problem { return &problem{status, KnownError(code)} }

// at names the field that is to blame.
func (p *problem) at(field string) *problem {
	p.err.Source = map[string]string{"pointer": "/" + field}
	return p
}

// respond begins a reply: Date by the server's own clock, Content-Type by the body.
func respond(now time.Time, status int, body Body) reply {
	header := http.Header{"Date": {now.UTC().Format(http.TimeFormat)}, "Content-Type": nil} // nil: do not guess one
	if body.contentType != "" {
		header.Set("Content-Type", body.contentType)
	}
	return reply{Body: body, status: status, header: header}
}

// answer is the regular answer to a request, but for what f changes in it.
func (s *Server) answer(in request, now time.Time, f Fault) reply {
	data, limits, p := s.process(in, now, f.TokenTTL)
	var out reply
	if p != nil {
		out = respond(now, p.status, errorBody(p.status, p.err))
	} else {
		if f.Edit != nil {
			f.Edit(data)
		}
		out = respond(now, http.StatusCreated, JSONBody(map[string]any{"data": data}))
	}
	maps.Copy(out.header, limits)
	return out
}

// process does what the API does, in the order of a gateway: path, method, rate
// limit, authorization, form, room, values.
func (s *Server) process(in request, now time.Time, ttl time.Duration) (data map[string]any, limits http.Header, p *problem) {
	if in.Endpoint == 0 {
		return nil, nil, refuse(http.StatusNotFound, "10005")
	}
	if in.method != http.MethodPost {
		return nil, http.Header{"Allow": {http.MethodPost}}, refuse(http.StatusMethodNotAllowed, "10015")
	}
	ok, limits := s.limit.take(in.At)
	if !ok {
		return nil, limits, refuse(http.StatusTooManyRequests, "10011")
	}
	fields, p := s.admit(in)
	if p == nil {
		data, p = s.grant(in, fields, now, ttl)
	}
	return data, limits, p
}

// admit checks everything about a request but its values, which it returns.
func (s *Server) admit(in request) (fields map[string]json.RawMessage, p *problem) {
	if in.Endpoint == Create && in.bearer != s.APIKey {
		return nil, refuse(http.StatusUnauthorized, "10009")
	}
	if in.KeyLeak {
		p = refuse(http.StatusBadRequest, "10015")
		p.err.Detail = "The request carries an API key where none is needed."
		return nil, p
	}
	if mediaType, _, _ := mime.ParseMediaType(in.contentType); mediaType != "application/json" {
		return nil, refuse(http.StatusUnsupportedMediaType, "10014")
	}
	if err := json.Unmarshal(in.body, &fields); err != nil || fields == nil {
		return nil, refuse(http.StatusBadRequest, "10015") // no body, no JSON, no object
	}
	if !isUUID(in.Room) || s.rooms != nil && !s.rooms[in.Room] {
		return nil, refuse(http.StatusNotFound, "65001")
	}
	return fields, nil
}

// grant mints what was asked for; a ttl that is not 0 overrules the request.
func (s *Server) grant(in request, fields map[string]json.RawMessage, now time.Time, ttl time.Duration) (map[string]any, *problem) {
	lifetime, p := seconds(fields, in.route.ttl, tokenTTL)
	if p != nil {
		return nil, p
	}
	if ttl != 0 {
		lifetime = ttl
	}
	data := map[string]any{"recort_type": "client_token"} // sic: seen in real answers, and not documented
	if in.Endpoint == Refresh {
		if p := s.checkRefreshToken(fields, in.Room, now); p != nil {
			return nil, p
		}
	} else {
		lifetime, p := seconds(fields, "refresh_token_ttl_secs", refreshTokenTTL)
		if p != nil {
			return nil, p
		}
		token, expires := s.issuer.mint(typRefresh, in.Room, now, lifetime)
		data["refresh_token"], data["refresh_token_expires_at"] = token, stamp(expires)
	}
	token, expires := s.issuer.mint(typAccess, in.Room, now, lifetime)
	data[in.route.token], data[in.route.expiresAt] = token, stamp(expires)
	return data, nil
}

// seconds reads a lifetime.
func seconds(fields map[string]json.RawMessage, name string, b bounds) (time.Duration, *problem) {
	n := b.standard
	if err := json.Unmarshal(or(fields[name], "null"), &n); err != nil { // null leaves n alone
		return 0, refuse(http.StatusBadRequest, "10015").at(name)
	}
	if n < b.min || n > b.max {
		p := refuse(http.StatusUnprocessableEntity, "10033").at(name)
		p.err.Detail = fmt.Sprintf("must be between %d and %d", b.min, b.max)
		return 0, p
	}
	return time.Duration(n) * time.Second, nil
}

// checkRefreshToken refuses with 403, the only failure the document has for
// refresh. Which codes go with it is not known; these are the nearest.
func (s *Server) checkRefreshToken(fields map[string]json.RawMessage, room string, now time.Time) *problem {
	var token string
	if err := json.Unmarshal(or(fields["refresh_token"], `""`), &token); err != nil {
		return refuse(http.StatusBadRequest, "10015").at("refresh_token")
	}
	if token == "" {
		return refuse(http.StatusUnprocessableEntity, "10004").at("refresh_token")
	}
	err := s.issuer.check(token, typRefresh, room, now)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrExpired):
		return refuse(http.StatusForbidden, "20006")
	}
	return refuse(http.StatusForbidden, "10010")
}

// or returns raw, or standard where the field was missing.
func or(raw json.RawMessage, standard string) []byte {
	if raw == nil {
		return []byte(standard)
	}
	return raw
}
