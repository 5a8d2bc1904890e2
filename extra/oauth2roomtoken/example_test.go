package oauth2roomtoken_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/oauth2roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// Requests carry the room's token. When the server no longer accepts it, they are sent again
// with a new one.
func ExampleTransport() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") == "Bearer token 1 of lobby" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()

	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	client := &http.Client{Transport: &oauth2roomtoken.Transport{Manager: manager, RoomID: "lobby"}}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// Bearer token 1 of lobby
	// Bearer token 2 of lobby
	// 200 OK
}

// A TokenSource answers from the Manager's memory.
func ExampleNewTokenSource() {
	source := &roomtokentest.Source{}
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	tokens := oauth2roomtoken.NewTokenSource(context.Background(), manager, "lobby")
	for range 1000 {
		if _, err := tokens.Token(); err != nil {
			fmt.Println(err)
			return
		}
	}
	tok, err := tokens.Token()
	fmt.Println(tok.Type(), tok.Valid(), err)
	fmt.Println("calls to the source:", source.Creates())
	// Output:
	// Bearer true <nil>
	// calls to the source: 1
}
