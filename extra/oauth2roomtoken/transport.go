package oauth2roomtoken

import (
	"errors"
	"io"
	"net/http"

	"github.com/roomtoken/roomtoken"
)

// Transport is an [http.RoundTripper] that sends a room's token as the Authorization
// header of each request.
//
// If a server answers 401 (Unauthorized), the token is invalidated, and the request is
// sent once more with a new one. The caller gets the first answer, whole, if the request
// has a body that cannot be sent again, for want of a GetBody, or if there is no new
// token. 403 (Forbidden) is not taken as a refusal of the token.
//
// A token is sent over HTTPS or to a loopback address only, and only to the server (scheme,
// host, and port) that the first request of a chain of redirects was for. For any other
// request RoundTrip returns an error and sends nothing. If a redirect to another server is
// to be followed, set http.Client.CheckRedirect, and follow it with another client.
//
// A Transport is safe for concurrent use. Set its fields before the first request.
type Transport struct {
	// Manager has the tokens. It is required.
	Manager *roomtoken.Manager

	// RoomID is the room whose token is sent.
	RoomID string

	// Base sends the requests. Nil means http.DefaultTransport.
	Base http.RoundTripper
}

// RoundTrip implements [http.RoundTripper]. It waits for a token as Manager.Token does,
// bounded by the request's ctx, and returns the error of that if there is none. It does
// not change the request, and closes its body in all cases.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.Manager == nil {
		closeBody(req.Body)
		return nil, errors.New("oauth2roomtoken: Transport.Manager is nil")
	}
	if err := checkDestination(req); err != nil {
		closeBody(req.Body)
		return nil, err
	}
	tok, err := t.Manager.Token(req.Context(), t.RoomID)
	if err != nil {
		closeBody(req.Body)
		return nil, err
	}
	first, refused, err := t.send(req, req.Body, tok)
	if !refused {
		return first, err
	}
	body, ok := rewind(req)
	if !ok {
		return first, nil
	}
	tok, err = t.Manager.Token(req.Context(), t.RoomID)
	if err != nil {
		closeBody(body)
		return first, nil //nolint:nilerr // the answer says more
	}
	closeBody(first.Body) // unread: it may never come
	second, _, err := t.send(req, body, tok)
	return second, err
}

// send sends the request with a body and a token. If the token is refused, it is
// invalidated.
func (t *Transport) send(req *http.Request, body io.ReadCloser, tok roomtoken.Token) (_ *http.Response, refused bool, _ error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	sent := req.Clone(req.Context())
	sent.Body = body
	sent.Trailer = req.Trailer // which is filled while the body is read
	if sent.Header == nil {
		sent.Header = http.Header{}
	}
	sent.Header.Set("Authorization", "Bearer "+tok.Value.Reveal())
	resp, err := base.RoundTrip(sent)
	if err != nil || resp == nil {
		return nil, false, err
	}
	// The caller does not see the token, and a request that a redirect leads to finds the
	// one before it, whatever Base does.
	resp.Request = req
	if resp.StatusCode != http.StatusUnauthorized {
		return resp, false, nil
	}
	t.Manager.Invalidate(t.RoomID, tok)
	return resp, true, nil
}

// rewind returns the body of a request that was sent; ok is false if there is no way to
// get it again.
func rewind(req *http.Request) (body io.ReadCloser, ok bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return req.Body, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	return body, err == nil
}

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close()
	}
}
