package statuspage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

var errDown = errors.New("the source is down")

// world is a page under test, with its Manager and its source.
type world struct {
	t    *testing.T
	src  *roomtokentest.Source
	m    *roomtoken.Manager
	page *Page
}

// within runs test in a bubble, on a page for a Manager without rooms. The bubble fails if
// a goroutine is left after both are closed. test must use the *testing.T that it gets.
func within(t *testing.T, config Config, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, src: &roomtokentest.Source{}}
		var err error
		if w.m, err = roomtoken.NewManager(w.src, roomtoken.Config{Jitter: -1}); err != nil {
			t.Fatal(err)
		}
		if config.Authorize == nil {
			config.Authorize = Anyone
		}
		if w.page, err = New(w.m, config); err != nil {
			t.Fatal(err)
		}
		test(t, w)
		w.page.Close()
		if err := w.m.Close(); err != nil {
			t.Error(err)
		}
	})
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// ask asks for rooms, and does not mind if there is no token.
func (w *world) ask(roomIDs ...string) {
	for _, id := range roomIDs {
		ctx, cancel := context.WithTimeout(w.t.Context(), 100*time.Millisecond)
		_, _ = w.m.Token(ctx, id)
		cancel()
	}
}

// serve answers a request.
func (w *world) serve(r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	w.page.ServeHTTP(answer, r)
	return answer
}

// get returns the page, which must be there.
func (w *world) get(target string) string {
	w.t.Helper()
	answer := w.serve(httptest.NewRequest(http.MethodGet, target, http.NoBody))
	if answer.Code != http.StatusOK {
		w.t.Fatalf("GET %s: status %d: %s", target, answer.Code, answer.Body)
	}
	return answer.Body.String()
}

// object is a JSON object.
type object = map[string]any

// document returns the page as JSON, decoded. Its numbers are float64.
func (w *world) document(params string) object {
	w.t.Helper()
	return decode(w.t, []byte(w.get("/?format=json&"+params)))
}

func decode(t *testing.T, text []byte) (o object) {
	t.Helper()
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return o
}

// objects returns a member that is an array of objects.
func objects(t *testing.T, o object, name string) (all []object) {
	t.Helper()
	array, ok := o[name].([]any)
	if !ok {
		t.Fatalf("%s is %v, want an array", name, o[name])
	}
	for _, member := range array {
		all = append(all, member.(object))
	}
	return all
}

// ids returns the IDs of the rooms on the page.
func (w *world) ids(params string) string {
	w.t.Helper()
	var ids []string
	for _, room := range objects(w.t, w.document(params), "rooms") {
		ids = append(ids, room["room_id"].(string))
	}
	return strings.Join(ids, " ")
}
