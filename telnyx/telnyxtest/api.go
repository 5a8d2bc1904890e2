package telnyxtest

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"time"
)

// problem is an error response of the API.
type problem struct {
	status int
	err    Error
}

// refuse returns a problem with a known code.
func refuse(status int, code string) *problem { return &problem{status, KnownError(code)} }

// at sets the field of the request that caused p, and returns p.
func (p *problem) at(field string) *problem {
	p.err.Source = map[string]string{"pointer": "/" + field}
	return p
}

// respond returns a reply with the Date now and the Content-Type of body.
func respond(now time.Time, status int, body Body) reply {
	header := http.Header{"Date": {now.UTC().Format(http.TimeFormat)}, "Content-Type": nil} // nil: no sniffing
	if body.contentType != "" {
		header.Set("Content-Type", body.contentType)
	}
	return reply{Body: body, status: status, header: header}
}

// answer returns the regular answer to a request, changed as f says.
func (s *Server) answer(in request, now time.Time, f Fault) reply {
	body, limits, p := s.process(in, now, f)
	var out reply
	if p != nil {
		out = respond(now, p.status, errorBody(in.Endpoint, p.status, p.err))
	} else {
		out = respond(now, http.StatusCreated, body)
	}
	maps.Copy(out.header, limits)
	return out
}

// process handles a request as the API does, in the order of a gateway: path, method,
// rate limit, authorization, and what the endpoint wants. It returns the body of a success
// and the rate limit headers.
func (s *Server) process(in request, now time.Time, f Fault) (body Body, limits http.Header, p *problem) {
	if in.Endpoint == 0 {
		return Body{}, nil, refuse(http.StatusNotFound, "10005")
	}
	if in.method != http.MethodPost {
		return Body{}, http.Header{"Allow": {http.MethodPost}}, refuse(http.StatusMethodNotAllowed, "10030")
	}
	ok, limits := s.limit.take(in.At)
	switch {
	case !ok:
		p = refuse(http.StatusTooManyRequests, "10011")
	case in.Endpoint != Refresh && in.bearer != s.APIKey:
		p = refuse(http.StatusUnauthorized, "10009")
	case in.keyExposed || in.KeyLeak && s.strict:
		p = refuse(http.StatusBadRequest, "10015")
		p.err.Detail = "The request carries an API key where none is allowed."
	case in.Endpoint == CredentialToken:
		body, p = s.credentialToken(in, now, f)
	default:
		body, p = s.clientToken(in, now, f)
	}
	return body, limits, p
}

// clientToken answers a create or a refresh.
func (s *Server) clientToken(in request, now time.Time, f Fault) (Body, *problem) {
	fields, p := s.parse(in)
	if p != nil {
		return Body{}, p
	}
	if !s.rooms.exists(in.Room) {
		return Body{}, refuse(http.StatusNotFound, "65001")
	}
	data, p := s.grant(in, fields, now, f.TokenTTL)
	if p != nil {
		return Body{}, p
	}
	if f.Edit != nil {
		f.Edit(data)
	}
	return JSONBody(map[string]any{"data": data}), nil
}

// grant mints the tokens of a response. A nonzero ttl overrides the token lifetime in
// the request.
func (s *Server) grant(in request, fields map[string]json.RawMessage, now time.Time, ttl time.Duration) (map[string]any, *problem) {
	lifetime, p := seconds(fields, in.route.ttl, tokenTTL)
	if p != nil {
		return nil, p
	}
	if ttl != 0 {
		lifetime = ttl
	}
	data := map[string]any{"recort_type": "client_token"} // sic: undocumented, but present in real responses
	if in.Endpoint == Refresh {
		if p := s.checkRefreshToken(fields, in.Room, now); p != nil {
			return nil, p
		}
	} else {
		lifetime, p := seconds(fields, "refresh_token_ttl_secs", refreshTokenTTL)
		if p != nil {
			return nil, p
		}
		token, expires := s.issuer.mint(refreshToken, in.Room, now, lifetime)
		data["refresh_token"], data["refresh_token_expires_at"] = token, stamp(expires)
	}
	token, expires := s.issuer.mint(clientToken, in.Room, now, lifetime)
	data[in.route.token], data[in.route.expiresAt] = token, stamp(expires)
	return data, nil
}

// checkRefreshToken refuses bad refresh tokens with 403, the only error that the
// API document lists for refresh. It gives no codes; these are the closest ones.
func (s *Server) checkRefreshToken(fields map[string]json.RawMessage, room string, now time.Time) *problem {
	raw, ok := fields["refresh_token"]
	if !ok {
		return refuse(http.StatusUnprocessableEntity, "10004").at("refresh_token")
	}
	var token *string
	if err := json.Unmarshal(raw, &token); err != nil || token == nil {
		return wrongType("string", raw).at("refresh_token")
	}
	err := s.issuer.check(*token, refreshToken, room, now)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrExpired):
		return refuse(http.StatusForbidden, "20006")
	}
	return refuse(http.StatusForbidden, "10010")
}
