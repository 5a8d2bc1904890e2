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

// create asks for a token and prints what it gets.
func create(srv *telnyxtest.Server) {
	ctx := context.Background()
	url := srv.URL + "/rooms/" + room + "/actions/generate_join_client_token"
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{}`))
	req.Header.Set("Authorization", "Bearer "+srv.APIKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := srv.Client().Do(req)
	if err != nil {
		fmt.Println("no answer")
		return
	}
	defer resp.Body.Close()
	fmt.Printf("%d, retry after %q\n", resp.StatusCode, resp.Header.Get("Retry-After"))
}

// A client of the API meets an outage, and then a limit of one call per minute.
// No time passes but that of the fake clock.
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

// Faults stand in line: each meets its calls before the next one's turn comes.
func ExampleServer_Inject() {
	srv := telnyxtest.NewServer(telnyxtest.Config{})
	defer srv.Close()

	// The next two creates in this room meet a proxy's page, the third nothing.
	srv.Inject(telnyxtest.Fault{On: telnyxtest.Create, Room: room, Times: 2, Status: 502, Body: telnyxtest.HTMLBody})
	srv.Inject(telnyxtest.Fault{Times: 1, Reset: true})

	// Every answer is a bit late and tells when to come back, until further notice.
	remove := srv.Inject(telnyxtest.Fault{Latency: time.Millisecond, Header: http.Header{"Retry-After": {"7"}}})

	create(srv)
	create(srv)
	create(srv)
	remove()
	create(srv)

	// Output:
	// 502, retry after "7"
	// 502, retry after "7"
	// no answer
	// 201, retry after ""
}
