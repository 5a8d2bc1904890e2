package telnyxtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

const room = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"

// create requests a token and prints the response.
func create(srv *telnyxtest.Server) {
	ctx := context.Background()
	url := srv.URL + "/rooms/" + room + "/actions/generate_join_client_token"
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{}`))
	req.Header.Set("Authorization", "Bearer "+srv.APIKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := srv.Client().Do(req)
	if err != nil {
		fmt.Println("no response")
		return
	}
	defer resp.Body.Close()
	fmt.Printf("%d, retry after %q\n", resp.StatusCode, resp.Header.Get("Retry-After"))
}

// An outage, and then a limit of one call per minute, on a mock clock.
func Example() {
	mock := clock.NewMock()
	srv := telnyxtest.NewServer(telnyxtest.Config{Clock: mock})
	defer srv.Close()

	srv.Inject(telnyxtest.Outage(6 * time.Second))
	create(srv)
	mock.Add(6 * time.Second)
	srv.SetRateLimit(1, time.Minute)
	create(srv)
	create(srv)

	calls := srv.Calls()
	fmt.Println(calls.Creates, "creates,", calls.Injected, "faulty")

	// Output:
	// 503, retry after ""
	// 201, retry after ""
	// 429, retry after "60"
	// 3 creates, 1 faulty
}

// Faults apply in the order in which they were injected.
func ExampleServer_Inject() {
	srv := telnyxtest.NewServer(telnyxtest.Config{})
	defer srv.Close()

	// Two creates of this room get the error page of a proxy. The next call gets a
	// connection reset.
	srv.Inject(telnyxtest.Fault{On: telnyxtest.Create, Room: room, Times: 2, Status: 502, Body: telnyxtest.HTMLBody})
	srv.Inject(telnyxtest.Fault{Times: 1, Reset: true})

	// Every response is delayed and has a Retry-After, until remove is called.
	remove := srv.Inject(telnyxtest.Fault{Latency: time.Millisecond, Header: http.Header{"Retry-After": {"7"}}})

	create(srv)
	create(srv)
	create(srv)
	remove()
	create(srv)

	// Output:
	// 502, retry after "7"
	// 502, retry after "7"
	// no response
	// 201, retry after ""
}

// Verify says whether a participant could join with a token.
func ExampleServer_Verify() {
	mock := clock.NewMock()
	srv := telnyxtest.NewServer(telnyxtest.Config{Clock: mock})
	defer srv.Close()
	grant := mint(srv, mock)
	token := grant.Token.Value.Reveal()

	fmt.Println("new:", srv.Verify(room, token))
	fmt.Println("in another room:", errors.Is(srv.Verify("9e2a0cbe-ce66-411e-a1ac-468f0b103c9a", token), telnyxtest.ErrInvalid))

	srv.RevokeTokens(room)
	fmt.Println("revoked:", errors.Is(srv.Verify(room, token), telnyxtest.ErrRevoked))

	token = mint(srv, mock).Token.Value.Reveal()
	mock.Add(10 * time.Minute)
	fmt.Println("after 10 minutes:", errors.Is(srv.Verify(room, token), telnyxtest.ErrExpired))

	// Output:
	// new: <nil>
	// in another room: true
	// revoked: true
	// after 10 minutes: true
}

// The server's clock is an hour ahead. The telnyx package measures lifetimes on that
// clock, so that a token does not seem to live longer than it does.
func ExampleServer_SetSkew() {
	mock := clock.NewMock()
	srv := telnyxtest.NewServer(telnyxtest.Config{Clock: mock})
	defer srv.Close()
	srv.SetSkew(time.Hour)

	grant := mint(srv, mock)
	fmt.Println("on the server:", srv.Now().Sub(mock.Now()), "ahead")
	fmt.Println("lifetime:", grant.Token.ExpiresAt.Sub(mock.Now()))

	// Output:
	// on the server: 1h0m0s ahead
	// lifetime: 9m59s
}

// A limit of two calls per minute, over all rooms.
func ExampleServer_SetRateLimit() {
	mock := clock.NewMock()
	srv := telnyxtest.NewServer(telnyxtest.Config{Clock: mock})
	defer srv.Close()
	srv.SetRateLimit(2, time.Minute)

	create(srv)
	create(srv)
	mock.Add(15 * time.Second)
	create(srv)
	mock.Add(45 * time.Second)
	create(srv)

	// Output:
	// 201, retry after ""
	// 201, retry after ""
	// 429, retry after "45"
	// 201, retry after ""
}

// The room is deleted while participants have tokens for it.
func ExampleServer_RemoveRooms() {
	srv := telnyxtest.NewServer(telnyxtest.Config{})
	defer srv.Close()
	token := mint(srv, nil).Token.Value.Reveal()

	srv.RemoveRooms(room)
	create(srv)
	fmt.Println(srv.Verify(room, token))

	// Output:
	// 404, retry after ""
	// telnyxtest: token revoked: the room has been removed
}

// A test waits for what the code under test does in the background.
func ExampleServer_WaitCreates() {
	srv := telnyxtest.NewServer(telnyxtest.Config{})
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	minted := make(chan roomtoken.Grant)
	go func() { minted <- mint(srv, nil) }()
	fmt.Println("create:", srv.WaitCreates(ctx, 1))
	fmt.Println("response:", srv.WaitRequests(ctx, 1))
	fmt.Println("status:", srv.Requests()[0].Status)
	<-minted

	// Output:
	// create: <nil>
	// response: <nil>
	// status: 201
}

// A token of a telephony credential is the body of a response.
func ExampleServer_VerifyCredential() {
	srv := telnyxtest.NewServer(telnyxtest.Config{Credentials: []string{"alice"}})
	defer srv.Close()

	for _, id := range []string{"alice", "bob"} {
		req, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, srv.URL+"/telephony_credentials/"+id+"/token", http.NoBody)
		req.Header.Set("Authorization", "Bearer "+srv.APIKey)
		resp, err := srv.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		token, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.StatusCode, srv.VerifyCredential(id, string(token)) == nil)
	}

	// Output:
	// 201 true
	// 404 false
}

// A response with errors by field.
func ExampleErrorFields() {
	srv := telnyxtest.NewServer(telnyxtest.Config{})
	defer srv.Close()
	srv.Inject(telnyxtest.Fault{Status: 422, Body: telnyxtest.ErrorFields(map[string]string{"id": "is invalid"})})

	resp, err := srv.Client().Post(srv.URL+"/rooms/"+room+"/actions/refresh_client_token", "application/json", strings.NewReader(`{}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(text))

	// Output:
	// 422 {"errors":{"id":"is invalid"}}
}

// mint returns a grant from the server.
func mint(srv *telnyxtest.Server, clk clock.Clock) roomtoken.Grant {
	source, err := telnyx.NewSource(telnyx.Config{APIKey: srv.APIKey, BaseURL: srv.URL, HTTPClient: srv.Client(), Clock: clk})
	if err != nil {
		panic(err)
	}
	grant, err := source.Create(context.Background(), room)
	if err != nil {
		panic(err)
	}
	return grant
}
