package telnyx

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
)

// wholeTimeout limits a call with the default HTTP client whose ctx has no deadline,
// including the response body. A Manager ends each call at its CallTimeout.
const wholeTimeout = 30 * time.Second

// client makes the requests of a [Source] or a [CredentialSource], whatever they ask for.
type client struct {
	baseURL string // without a trailing slash
	host    string // of baseURL
	ids     idFormat
	toID    func(key string) (id string, err error) // Config.RoomID
	keys    apiKeys
	http    *http.Client
	owned   bool // http is the default client
	fresh   freshness
	header  http.Header // of every request
	clock   clock.Clock
}

// newClient returns a client for a complete config. It adds to header what is the same for
// all requests.
func newClient(c Config, ids idFormat, header http.Header) (*client, error) {
	httpClient, closeIdle, err := newHTTPClient(c)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(c.BaseURL)
	if err != nil {
		return nil, err // not reached: the config is complete
	}
	header.Set("Accept-Encoding", "identity") // also keeps net/http from decompressing responses
	header.Set("User-Agent", c.UserAgent)
	// A request may be repeated: minting a second token does no harm. With this key, which
	// is never sent since it has no value, net/http repeats a request if the server closes
	// a kept-alive connection at that very moment.
	header["Idempotency-Key"] = nil
	return &client{
		baseURL: c.BaseURL,
		host:    redactor(nil).clean(base.Host, maxServerText),
		ids:     ids,
		toID:    c.RoomID,
		keys:    newAPIKeys(c),
		http:    httpClient,
		owned:   c.HTTPClient == nil,
		fresh:   freshness{closeIdle: closeIdle, turn: make(chan struct{}, 1)},
		header:  header,
		clock:   c.Clock,
	}, nil
}

// newCall returns the call for a key. Its errors wrap sentinel.
func (c *client) newCall(kind roomtoken.CallKind, key string, sentinel error) (call, error) {
	id, err := c.id(key)
	if err != nil {
		return call{}, wrapping("telnyx: "+kind.String()+": "+err.Error(), err, sentinel)
	}
	return call{kind: kind, noun: c.ids.noun, id: id}, nil
}

// closeIdleConnections closes those of the default client only.
func (c *client) closeIdleConnections() {
	if c.owned {
		c.fresh.closeIdle()
	}
}

// withTimeout returns the ctx for a call. With the default HTTP client it has a deadline.
func (c *client) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if !c.owned || ctx == nil { // post returns an error for a nil ctx
		return ctx, func() {}
	}
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, wholeTimeout)
}

// post makes one request to a path below the base URL, with the API key unless it is "".
// It returns a success with a body. An error status is an [*APIError].
func (c *client) post(ctx context.Context, of call, path, apiKey string, body []byte) (*response, error) {
	if ctx == nil {
		return nil, of.fail("nil Context")
	}
	resp := &response{times: times{sent: c.clock.Now().Round(0).UTC()}}
	newRequest := func(ctx context.Context) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.baseURL+path, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header = maps.Clone(c.header) // a shallow copy will do: transports must not modify requests
		if apiKey != "" {
			req.Header["Authorization"] = []string{"Bearer " + apiKey}
		}
		return req, nil
	}
	err := c.fresh.do(ctx, exchange{c.http, newRequest, resp.read})
	switch {
	case err != nil:
		return nil, c.noAnswer(of, err)
	case resp.status >= 300:
		return nil, c.newAPIError(of, resp)
	case resp.status != http.StatusOK && resp.status != http.StatusCreated:
		return nil, of.failGrant("the status is %s, not 201 Created", statusName(resp.status))
	case resp.bodyErr != nil:
		return nil, of.failBody(ctx, resp.bodyErr)
	}
	if encoding := contentEncoding(resp.header); encoding != "" {
		return nil, of.failGrant("the body is compressed (%s), which the request did not ask for", of.clean(encoding, maxServerText))
	}
	if len(bytes.TrimSpace(resp.body)) == 0 {
		return nil, of.failGrant("the body is empty")
	}
	return resp, nil
}

// create makes one request with the API key. If the API refuses a key from
// Config.APIKeyFunc, it asks for the key again, and repeats the request once if the key is
// now another. It adds the keys to those that the errors of the call redact.
func (c *client) create(ctx context.Context, of *call, path string, body []byte) (*response, error) {
	key, err := c.keys.get(ctx, *of)
	if err != nil {
		return nil, err
	}
	of.redactor = append(c.keys.known.redactor(), key)
	resp, err := c.post(ctx, *of, path, key, body)
	if c.keys.call == nil || !errors.Is(err, roomtoken.ErrUnauthorized) {
		return resp, err
	}
	newKey, keyErr := c.keys.get(ctx, *of)
	if keyErr != nil || newKey == key {
		return resp, err
	}
	of.redactor = append(of.redactor, newKey)
	return c.post(ctx, *of, path, newKey, body)
}

// noAnswer returns the error for a request without a response. It is always a transient
// failure.
func (c *client) noAnswer(of call, err error) error {
	text := err.Error()
	if wrapper := (*url.Error)(nil); errors.As(err, &wrapper) {
		text = wrapper.Err.Error() // drop the method and the URL: the prefix has them
	}
	return of.fail("no answer from "+c.host+": "+of.clean(text, maxOwnText), err)
}
