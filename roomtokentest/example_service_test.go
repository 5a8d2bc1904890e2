package roomtokentest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// door is the service under test: it lets people into rooms.
type door struct{ manager *roomtoken.Manager }

func (d door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tok, err := d.manager.Token(r.Context(), r.URL.Query().Get("room"))
	var failed *roomtoken.Error
	switch {
	case errors.Is(err, roomtoken.ErrRoomNotFound):
		http.Error(w, "no such room", http.StatusNotFound)
	case errors.As(err, &failed):
		w.Header().Set("Retry-After", strconv.Itoa(int(failed.RetryAfter().Seconds())+1)) // in whole seconds, not too soon
		http.Error(w, "not now", http.StatusServiceUnavailable)
	case err != nil:
		http.Error(w, "closed", http.StatusServiceUnavailable)
	default:
		fmt.Fprint(w, tok.Value.Reveal())
	}
}

// A service is tested with a source whose answers the test decides, in a bubble: the test
// waits for minutes, and takes no time.
func TestExampleService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &roomtokentest.Source{TokenTTL: 10 * time.Minute, Latency: 200 * time.Millisecond}
		manager, err := roomtoken.NewManager(source, roomtoken.Config{MaxWait: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer manager.Close() // before the bubble ends
		enter := func(room string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			door{manager}.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?room="+room, http.NoBody))
			return w
		}

		if w := enter("lobby"); w.Code != http.StatusOK || w.Body.String() != "token 1 of lobby" {
			t.Errorf("the first visitor: %d %q", w.Code, w.Body)
		}
		source.Next(roomtokentest.Outcome{Err: roomtoken.ErrRoomNotFound})
		if w := enter("nowhere"); w.Code != http.StatusNotFound {
			t.Errorf("a room that does not exist: %d", w.Code)
		}

		// The source fails for an hour. Visitors notice when the token has expired.
		source.Fail(errors.New("out of order"), -1)
		time.Sleep(9 * time.Minute)
		if w := enter("lobby"); w.Code != http.StatusOK {
			t.Errorf("with a token in memory: %d", w.Code)
		}
		time.Sleep(51 * time.Minute)
		w := enter("lobby")
		if wait, _ := strconv.Atoi(w.Header().Get("Retry-After")); w.Code != http.StatusServiceUnavailable || wait < 1 || wait > 46 {
			t.Errorf("without a token: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}

		// It works again, and the service does without anybody's help.
		source.Clear()
		time.Sleep(time.Minute)
		if w := enter("lobby"); w.Code != http.StatusOK {
			t.Errorf("after the outage: %d", w.Code)
		}
	})
}
