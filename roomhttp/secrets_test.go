package roomhttp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
)

// Neither a token nor a refresh token nor what the client authenticates with is in a log
// or in the body of an error.
func TestNoSecretLeaks(t *testing.T) {
	const canary = "canary"
	var outcome atomic.Pointer[error]
	log := &syncBuffer{}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	config := roomhttp.Config{
		AcceptRejections:  true,
		MaxStreamsPerRoom: 2,
		Logger:            logger,
		Authorize: func(*http.Request, string) error {
			if err := outcome.Load(); err != nil {
				return *err
			}
			return nil
		},
	}
	within(t, setup{Config: config, manager: roomtoken.Config{Logger: logger}}, func(t *testing.T, w *world) {
		serial := 0
		mint := func(room string) roomtoken.Grant {
			serial++
			grant := w.source.Mint(room)
			grant.Token.Value = roomtoken.NewSecret(fmt.Sprint(canary, "-token-", serial))
			grant.RefreshToken.Value = roomtoken.NewSecret(fmt.Sprint(canary, "-refresh-", serial))
			return grant
		}
		w.source.CreateFunc = func(_ context.Context, room string) (roomtoken.Grant, error) { return mint(room), nil }
		w.source.RefreshFunc = func(_ context.Context, room string, _ roomtoken.Token) (roomtoken.Grant, error) {
			return mint(room), nil
		}
		credentials := []string{"Cookie: session=" + canary + "-cookie", "Authorization: Bearer " + canary + "-bearer", jsonType}
		check := func(a answer) {
			t.Helper()
			if a.status >= 400 && strings.Contains(a.body, canary) {
				t.Errorf("%d %s", a.status, a.body)
			}
			if strings.Contains(a.body, canary+"-refresh") {
				t.Errorf("a refresh token reaches the client: %s", a.body)
			}
		}
		everything := func() {
			t.Helper()
			for _, path := range []string{"/rooms/a/token", "/rooms/full/token/events", "/rooms/%FF/token", "/nothing"} {
				check(w.get(path, credentials...))
				check(w.get(path, append(credentials, "Origin: https://evil.example")...))
			}
			for _, body := range []string{`{"token":"` + canary + `-token-1"}`, `{"token":"` + canary, `"` + canary + `"`, `{"token":"` + canary + strings.Repeat("x", 20<<10) + `"}`} {
				check(w.do(http.MethodPost, "/rooms/a/token/rejected", body, credentials...))
			}
		}
		s := w.open("/rooms/full/token/events", append(credentials, "Last-Event-ID: "+canary+"-id")...)
		w.open("/rooms/full/token/events", credentials...)
		everything()
		for _, err := range []error{
			errors.New("forbidden"), roomhttp.ErrUnauthenticated, roomhttp.ErrUnavailable, roomtoken.ErrRoomNotFound,
		} {
			outcome.Store(&err)
			everything()
		}
		outcome.Store(nil)
		for _, err := range []error{errInner, roomtoken.Permanent(errInner), roomtoken.ErrRateLimited, roomtoken.ErrRoomNotFound} {
			w.source.Clear()
			w.source.Fail(err, -1)
			w.manager.Forget("a")
			everything()
			time.Sleep(15 * time.Minute)
		}
		for _, b := range s.rest() {
			if b.event != "token" && strings.Contains(b.data, canary) || strings.Contains(b.data, "-refresh-") {
				t.Errorf("%+v", b)
			}
		}
		w.manager.Close()
		everything()
		if text := log.String(); strings.Contains(text, canary) || strings.Count(text, "\n") < 50 {
			t.Errorf("the log has %d lines and a secret", strings.Count(text, "\n"))
		}
		if text := fmt.Sprintf("%v %+v %#v", w.handler, w.handler, w.stats()); strings.Contains(text, canary) {
			t.Errorf("the Handler prints a secret: %s", text)
		}
	})
}
