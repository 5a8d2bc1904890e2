package roomtoken_test

import (
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

func TestEnumsMarshalAsTheirNames(t *testing.T) {
	for _, v := range []interface {
		fmt.Stringer
		encoding.TextMarshaler
		slog.LogValuer
	}{
		roomtoken.RoomValid, roomtoken.RoomState(99), roomtoken.EventTokenPublished, roomtoken.EventKind(0), create, roomtoken.CallKind(0),
	} {
		if text, err := v.MarshalText(); err != nil || string(text) != v.String() {
			t.Errorf("MarshalText() of %v = (%s, %v), want %s", v, text, err, v)
		}
		if got := v.LogValue(); got.Kind() != slog.KindString || got.String() != v.String() {
			t.Errorf("LogValue() of %v = %v, want %s", v, got, v)
		}
		if text, err := json.Marshal(map[string]any{"k": v}); err != nil || string(text) != `{"k":"`+v.String()+`"}` {
			t.Errorf("JSON of %v = (%s, %v), want %q", v, text, err, v)
		}
	}
}

// logged returns how slog's handlers print a value.
func logged(t *testing.T, v any) (text, jsonText string) {
	t.Helper()
	output := func(newHandler func(w *safeBuffer) slog.Handler) string {
		var b safeBuffer
		slog.New(newHandler(&b)).Info("m", "v", v)
		return strings.TrimSuffix(b.String(), "\n")
	}
	opts := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key != "v" {
			return slog.Attr{}
		}
		return a
	}}
	text = output(func(b *safeBuffer) slog.Handler { return slog.NewTextHandler(b, opts) })
	jsonText = output(func(b *safeBuffer) slog.Handler { return slog.NewJSONHandler(b, opts) })
	return text, jsonText
}

// wantMarshaled checks a value's JSON and log value, also behind a pointer.
func wantMarshaled(t *testing.T, v any, wantJSON string, wantText ...string) {
	t.Helper()
	pointer := reflect.New(reflect.TypeOf(v))
	pointer.Elem().Set(reflect.ValueOf(v))
	for _, v := range []any{v, pointer.Interface()} {
		if got, err := json.Marshal(v); err != nil || string(got) != wantJSON {
			t.Errorf("JSON of %T = %s (%v)\nwant %s", v, got, err, wantJSON)
		}
		text, jsonText := logged(t, v)
		if want := `{"v":` + wantJSON + `}`; jsonText != want {
			t.Errorf("slog's JSON of %T = %s\nwant %s", v, jsonText, want)
		}
		for _, want := range wantText {
			if !strings.Contains(text, want) {
				t.Errorf("slog's text of %T = %s\nwant %s in it", v, text, want)
			}
		}
	}
}

func TestEventMarshals(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	wantMarshaled(t, roomtoken.Event{
		Kind: roomtoken.EventCallEnded, Time: epoch(0).In(berlin), RoomID: "r\xff\"", Call: refresh, Duration: 1500 * time.Millisecond,
		Err: errDown, Failures: 2, Until: epoch(1500 * time.Millisecond),
	}, `{"kind":"call ended","time":"1970-01-01T00:00:00Z","room_id":"r\ufffd\"","call":"refresh","duration":"1.5s",`+
		`"err":"the source is down","failures":2,"until":"1970-01-01T00:00:01.5Z"}`,
		`v.kind="call ended"`, `v.err="the source is down"`, `v.duration=1.5s`)
	wantMarshaled(t, roomtoken.Event{
		Kind: roomtoken.EventTokenPublished, Fingerprint: "f00", ExpiresAt: epoch(time.Hour), Generation: 3, Reason: roomtoken.ReasonIdle,
		Err: &hostile{"Error"},
	}, `{"kind":"token published","err":"%!v(PANIC=Error method: panic in Error)","fingerprint":"f00","expires_at":"1970-01-01T01:00:00Z","generation":3,"reason":"idle"}`)
	if got, err := json.Marshal(roomtoken.Event{}); err != nil || string(got) != "{}" {
		t.Errorf("JSON of a zero Event = (%s, %v), want {}", got, err)
	}
}

func TestRoomStatusMarshals(t *testing.T) {
	got, err := json.Marshal(roomtoken.RoomStatus{
		RoomID: "r", State: roomtoken.RoomFailing, NextCall: create, NextCallAt: epoch(time.Second),
		Failures: 3, LastFailure: refresh, LastError: errDown, LastUsed: epoch(0), Watchers: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	wantMembers(t, got, map[string]any{
		"room_id": "r", "state": "failing", "next_call": "create", "next_call_at": "1970-01-01T00:00:01Z",
		"failures": 3.0, "last_failure": "refresh", "last_error": "the source is down", "last_used": "1970-01-01T00:00:00Z",
		"watchers": 1.0, "waiters": 0.0, "generation": 0.0, "has_refresh_token": false,
	}, "in_flight", "expires_at", "refresh_expires_at", "fingerprint")
	within(t, roomtoken.Config{Jitter: -1}, func(t *testing.T, w *world) {
		w.token("r")
		s, _ := w.m.Room("r")
		got, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		wantMembers(t, got, map[string]any{
			"room_id": "r", "state": "valid", "fingerprint": fingerprint("token-r-1"), "expires_at": "1970-01-01T00:10:00Z",
			"refresh_expires_at": "1970-01-01T01:00:00Z", "has_refresh_token": true, "generation": 1.0,
			"next_call": "refresh", "next_call_at": "1970-01-01T00:06:40Z",
		}, "last_error", "last_failure", "in_flight")
		_, jsonText := logged(t, s)
		if want := `{"v":` + string(got) + `}`; jsonText != want {
			t.Errorf("slog's JSON = %s\nwant %s", jsonText, want)
		}
	})
}

func TestStatsMarshals(t *testing.T) {
	within(t, roomtoken.Config{}, func(t *testing.T, w *world) {
		w.src.fail(roomtoken.RetryAfter(roomtoken.ErrRateLimited, time.Minute))
		w.ask(t.Context(), "r")
		s := w.m.Stats()
		got, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		wantMembers(t, got, map[string]any{
			"rooms": 1.0, "misses": 1.0, "creates": 1.0, "create_failures": 1.0, "refreshes": 0.0, "calls_in_flight": 0.0, "calls_queued": 0.0,
			"held_until": "1970-01-01T00:01:00Z", "rate_limited": true, "observer_panics": 0.0,
		})
		_, jsonText := logged(t, s)
		if want := `{"v":` + string(got) + `}`; jsonText != want {
			t.Errorf("slog's JSON = %s\nwant %s", jsonText, want)
		}
		w.src.on(nil)
	})
	got, err := json.Marshal(roomtoken.Stats{})
	if err != nil {
		t.Fatal(err)
	}
	wantMembers(t, got, map[string]any{"rooms": 0.0, "probing": false}, "held_until")
}

// wantMembers checks that a JSON object has the members of want and none of missing.
func wantMembers(t *testing.T, text []byte, want map[string]any, missing ...string) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s = %v, want %v in %s", key, got[key], value, text)
		}
	}
	for _, key := range missing {
		if v, ok := got[key]; ok {
			t.Errorf("%s = %v, want no such member in %s", key, v, text)
		}
	}
}
