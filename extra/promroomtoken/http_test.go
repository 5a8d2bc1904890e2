package promroomtoken_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/roomtoken/roomtoken/extra/promroomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

// What a Handler does is what its metrics say.
func TestMetricsOfAHandler(t *testing.T) {
	handler, err := roomhttp.New(newManager(t, &roomtokentest.Source{}), roomhttp.Config{
		Authorize: func(_ *http.Request, roomID string) error {
			if roomID == "attic" {
				return errors.New("nobody may go there")
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	collector := promroomtoken.NewHTTPCollector(handler)
	for _, room := range []string{"lobby", "lobby", "attic"} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/rooms/"+room+"/token", nil))
	}
	handler.Shutdown()
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/rooms/lobby/token/events", nil))

	got := exposition(t, collector)
	for _, line := range []string{
		`tokens_total{by="request"} 2`, `tokens_total{by="stream"} 0`, `denied_total 1`, `streams 0`, `streams_refused_total 1`,
	} {
		if !strings.Contains(got, "\nroomtoken_http_"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
}
