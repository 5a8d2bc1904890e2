package statuspage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
	"github.com/roomtoken/roomtoken/statuspage"
)

// The page is mounted on any path, and shown to operators only.
func Example() {
	source := &roomtokentest.Source{}
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close()

	page, err := statuspage.New(manager, statuspage.Config{
		Title: "rooms of eu-1",
		Authorize: func(r *http.Request) error {
			if user, password, _ := r.BasicAuth(); user != "operator" || password != "secret" {
				return errors.New("not an operator")
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer page.Close()
	mux := http.NewServeMux()
	mux.Handle("/debug/rooms", page)

	// Somebody has asked for a room, and an operator looks at those that are valid.
	request := httptest.NewRequest(http.MethodGet, "/debug/rooms?format=json&state=valid", http.NoBody)
	if _, err := manager.Token(request.Context(), "lobby"); err != nil {
		log.Fatal(err)
	}
	request.SetBasicAuth("operator", "secret")
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, request)

	var document struct {
		Title string
		Rooms []struct {
			RoomID string `json:"room_id"`
			State  string
		}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &document); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", document)
	// Output:
	// {Title:rooms of eu-1 Rooms:[{RoomID:lobby State:valid}]}
}

// On a port that only operators reach, anyone may look.
func ExampleAnyone() {
	manager, err := roomtoken.NewManager(&roomtokentest.Source{}, roomtoken.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close()
	page, err := statuspage.New(manager, statuspage.Config{Authorize: statuspage.Anyone})
	if err != nil {
		log.Fatal(err)
	}
	defer page.Close()

	operators := httptest.NewServer(page) // in production on localhost, or on a network of the operators
	defer operators.Close()
	response, err := http.Get(operators.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	fmt.Println(response.StatusCode, response.Header.Get("Content-Type"))
	// Output: 200 text/plain; charset=utf-8
}
