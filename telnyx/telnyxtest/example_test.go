package telnyxtest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

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
