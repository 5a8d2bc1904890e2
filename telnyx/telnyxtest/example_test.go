package telnyxtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/roomtoken/roomtoken/telnyx/telnyxtest"
)

const room = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"

// A client of the API that meets an outage, and then a limit of one call per
// minute. No time passes but that of the fake clock.
func Example() {
	mock := clock.NewMock()
	srv := telnyxtest.NewServer(telnyxtest.Config{Clock: mock})
	defer srv.Close()

	create := func() {
		req, _ := http.NewRequest("POST", srv.URL+"/rooms/"+room+"/actions/generate_join_client_token", strings.NewReader(`{}`))
		req.Header.Set("Authorization", "Bearer "+srv.APIKey)
		req.Header.Set("Content-Type", "application/json")
		resp, err := srv.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Printf("%d, retry after %q\n", resp.StatusCode, resp.Header.Get("Retry-After"))
	}

	srv.Inject(telnyxtest.Outage(6 * time.Second))
	create()
	mock.Add(6 * time.Second)
	srv.SetRateLimit(1, time.Minute)
	create()
	create()

	calls := srv.Calls()
	fmt.Println(calls.Creates, "creates,", calls.Injected, "faulty")

	// Output:
	// 503, retry after ""
	// 201, retry after ""
	// 429, retry after "60"
	// 3 creates, 1 faulty
}

func ExampleServer_Inject() {
	srv := telnyxtest.NewServer(telnyxtest.Config{})
	defer srv.Close()

	// The next two refreshes of this room meet a proxy's page.
	srv.Inject(telnyxtest.Fault{
		On: telnyxtest.Refresh, Room: room, Times: 2,
		Status: 502, Body: telnyxtest.HTMLBody,
	})

	// Every answer is slow, until further notice.
	remove := srv.Inject(telnyxtest.Fault{Latency: 200 * time.Millisecond})
	defer remove()

	// A create answers a token that has expired.
	srv.Inject(telnyxtest.Fault{On: telnyxtest.Create, Times: 1, TokenTTL: -time.Minute})

	// An answer without the field that matters.
	srv.Inject(telnyxtest.Fault{Times: 1, Edit: func(data map[string]any) { delete(data, "token_expires_at") }})
}
