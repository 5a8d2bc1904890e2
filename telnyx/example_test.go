package telnyx_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/telnyx"
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
	fmt.Println(errors.Is(err, roomtoken.ErrPermanent))
	var apiError *telnyx.APIError
	if errors.As(err, &apiError) {
		fmt.Println(apiError.StatusCode, apiError.Code)
	}
	// Output:
	// telnyx: create for room 0ccc7b54…: 401 Unauthorized: Authentication failed (code 10009, request 7f2c)
	// true
	// 401 10009
}
