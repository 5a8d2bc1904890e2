package telnyx_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

// A Source can be used on its own. Usually a Manager calls it when a token is due.
func ExampleSource_Create() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"data":{"token":"a-client-token","token_expires_at":%q}}`, time.Now().Add(10*time.Minute).Format(time.RFC3339))
	}))
	defer api.Close()

	source, err := telnyx.NewSource(telnyx.Config{APIKey: "KEY...", BaseURL: api.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.CloseIdleConnections()

	grant, err := source.Create(context.Background(), "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(grant.Token.Value)          // redacted
	fmt.Println(grant.Token.Value.Reveal()) // the token itself
	// Output:
	// [redacted]
	// a-client-token
}

// Use errors.Is to learn what an error means for the next call, and errors.As to learn
// what the API said.
func ExampleAPIError() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "7f2c")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"code":"10009","title":"Authentication failed"}]}`)
	}))
	defer api.Close()

	source, err := telnyx.NewSource(telnyx.Config{APIKey: "KEY...", BaseURL: api.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.CloseIdleConnections()

	_, err = source.Create(context.Background(), "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0")
	fmt.Println(err)
	fmt.Println(errors.Is(err, roomtoken.ErrPermanent), errors.Is(err, roomtoken.ErrUnauthorized))
	var apiError *telnyx.APIError
	if errors.As(err, &apiError) {
		fmt.Println(apiError.StatusCode, apiError.Code)
	}
	// Output:
	// telnyx: create for room 0ccc7b54…: 401 Unauthorized: Authentication failed (code 10009, request 7f2c)
	// true true
	// 401 10009
}

// How long the API asks to wait. A Manager waits by itself.
func ExampleAPIError_RetryAfter() {
	api := telnyxtest.NewServer(telnyxtest.Config{})
	defer api.Close()
	api.Inject(telnyxtest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"30"}}})
	source, err := telnyx.NewSource(telnyx.Config{APIKey: api.APIKey, BaseURL: api.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.CloseIdleConnections()

	_, err = source.Create(context.Background(), "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0")
	var apiError *telnyx.APIError
	if errors.As(err, &apiError) {
		fmt.Println(errors.Is(err, roomtoken.ErrRateLimited), apiError.RetryAfter())
	}
	// Output: true 30s
}

// With APIKeyFunc the key may be replaced at any time. If the API refuses a key, Create
// asks for it again.
func ExampleConfig_apiKeyFunc() {
	api := telnyxtest.NewServer(telnyxtest.Config{APIKey: "KEY-new"})
	defer api.Close()

	keys := []string{"KEY-old", "KEY-new"} // what the vault returns
	source, err := telnyx.NewSource(telnyx.Config{
		BaseURL: api.URL,
		APIKeyFunc: func(context.Context) (string, error) {
			key := keys[0]
			keys = keys[1:]
			fmt.Println("read", key)
			return key, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.CloseIdleConnections()

	_, err = source.Create(context.Background(), "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0")
	fmt.Println("created:", err == nil)
	// Output:
	// read KEY-old
	// read KEY-new
	// created: true
}

// AccessTokens selects the legacy endpoints.
func ExampleConfig_accessTokens() {
	api := telnyxtest.NewServer(telnyxtest.Config{})
	defer api.Close()

	source, err := telnyx.NewSource(telnyx.Config{
		APIKey: api.APIKey, BaseURL: api.URL,
		Endpoints: telnyx.AccessTokens,
		TokenTTL:  5 * time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.CloseIdleConnections()

	ctx, room := context.Background(), "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
	grant, err := source.Create(ctx, room)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := source.Refresh(ctx, room, grant.RefreshToken); err != nil {
		fmt.Println(err)
		return
	}
	for _, request := range api.Requests() {
		fmt.Println(request.Endpoint, "legacy:", request.Legacy, "status:", request.Status)
	}
	// Output:
	// create legacy: true status: 201
	// refresh legacy: true status: 201
}

// A token per participant: the Manager caches by key, the calls are for the room.
func ExampleConfig_roomID() {
	api := telnyxtest.NewServer(telnyxtest.Config{})
	defer api.Close()
	source, err := telnyx.NewSource(telnyx.Config{
		APIKey:  api.APIKey,
		BaseURL: api.URL,
		RoomID: func(key string) (string, error) {
			room, _, ok := strings.Cut(key, "/")
			if !ok {
				return "", errors.New("want ROOM/PARTICIPANT")
			}
			return telnyx.ParseRoomID(room)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.CloseIdleConnections()
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	const room = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
	alice, err := manager.Token(context.Background(), room+"/alice")
	if err != nil {
		fmt.Println(err)
		return
	}
	bob, err := manager.Token(context.Background(), room+"/bob")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(alice.Value.Equal(bob.Value), api.Verify(room, alice.Value.Reveal()), api.Verify(room, bob.Value.Reveal()))

	_, err = manager.Token(context.Background(), "lobby")
	fmt.Println(errors.Is(err, roomtoken.ErrRoomNotFound))
	// Output:
	// false <nil> <nil>
	// true
}

// The tokens with which browsers make and take calls, by the ID of a telephony credential.
func ExampleCredentialSource() {
	api := telnyxtest.NewServer(telnyxtest.Config{})
	defer api.Close()
	source, err := telnyx.NewCredentialSource(telnyx.Config{APIKey: api.APIKey, BaseURL: api.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.CloseIdleConnections()
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	token, err := manager.Token(context.Background(), "c215ade3-0d39-418e-94be-c5f780760199")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.Value, time.Until(token.ExpiresAt) > 23*time.Hour)
	// Output: [redacted] true
}

// A wrapper around the default transport keeps its timeouts and pings. OpenTelemetry's is
// otelhttp.NewTransport.
func ExampleConfig_wrapTransport() {
	api := telnyxtest.NewServer(telnyxtest.Config{})
	defer api.Close()
	source, err := telnyx.NewSource(telnyx.Config{
		APIKey:        api.APIKey,
		BaseURL:       api.URL,
		WrapTransport: func(next http.RoundTripper) http.RoundTripper { return logging{next} },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.CloseIdleConnections()
	if _, err := source.Create(context.Background(), "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"); err != nil {
		fmt.Println(err)
	}
	// Output: POST /v2/rooms/0ccc7b54-4df3-4bca-a65a-3da1ecc777f0/actions/generate_join_client_token: 201
}

// A transport of one's own begins with the default one, which has timeouts and pings.
func ExampleNewTransport() {
	api := telnyxtest.NewServer(telnyxtest.Config{})
	defer api.Close()
	transport := telnyx.NewTransport()
	transport.MaxConnsPerHost = 16 // for instance

	source, err := telnyx.NewSource(telnyx.Config{
		APIKey:     api.APIKey,
		BaseURL:    api.URL,
		HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.CloseIdleConnections()
	grant, err := source.Create(context.Background(), "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0")
	fmt.Println(grant.Token.Value, err)
	// Output: [redacted] <nil>
}

// logging is a transport that prints each request.
type logging struct{ next http.RoundTripper }

func (l logging) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err == nil {
		fmt.Printf("%s %s: %d\n", r.Method, r.URL.Path, resp.StatusCode)
	}
	return resp, err
}
