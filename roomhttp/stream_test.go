package roomhttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/roomhttp"
)

const events = "/rooms/lobby/token/events"

// The bytes of a stream.
func TestStream(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		s := w.open(events)
		if s.status != http.StatusOK {
			t.Fatal(s.status)
		}
		if b := s.next(); b.retry == "" || b.comment != "heartbeat 15" || b.event != "" {
			t.Errorf("%+v", b)
		}
		b := s.next()
		id := roomtoken.NewSecret("token 1 of lobby").Fingerprint()
		data := `{"token":"token 1 of lobby","token_expires_at":"2000-01-01T00:10:00Z","expires_in":600}`
		if b != (block{id: id, event: "token", data: data}) {
			t.Errorf("%+v", b)
		}
		if b := s.next(); b != (block{comment: "heartbeat 15", after: 15 * time.Second}) {
			t.Errorf("%+v", b)
		}
		if got := w.stats(); got != (roomhttp.Stats{Streams: 1, StreamsOpened: 1, TokensSent: 1}) {
			t.Errorf("%+v", got)
		}
		s.leave()
		if got := w.stats(); got != (roomhttp.Stats{StreamsOpened: 1, TokensSent: 1}) {
			t.Errorf("%+v", got)
		}
	})
}

// Half a day: each token comes ahead of the end of the one before, and nothing is silent
// for longer than a heartbeat.
func TestStreamForHalfADay(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		s := w.open(events)
		var last, expires time.Duration // since the stream was opened
		var ids []string
		for last < 12*time.Hour {
			b := s.next()
			if b.after-last > 15*time.Second {
				t.Fatalf("silent from %v to %v", last, b.after)
			}
			last = b.after
			if b.event != "token" {
				continue
			}
			if expires != 0 && b.after > expires-30*time.Second {
				t.Errorf("a token came after %v, the one before expires after %v", b.after, expires)
			}
			expires = b.after + time.Duration(decode(t, b.data)["expires_in"].(float64))*time.Second
			ids = append(ids, b.id)
		}
		if len(ids) < 12*60/10 {
			t.Errorf("%d tokens", len(ids))
		}
		for i, id := range ids[1:] {
			if id == ids[i] {
				t.Errorf("token %s came twice", id)
			}
		}
	})
}

// Clients are told to come back after Retry to 5 times Retry.
func TestRetryIsDrawn(t *testing.T) {
	within(t, setup{Config: roomhttp.Config{Retry: 100 * time.Millisecond, MaxStreams: -1, MaxStreamsPerRoom: -1}}, func(t *testing.T, w *world) {
		seen := map[int]bool{}
		lowest, highest := 1000, 0
		for range 300 {
			s := w.open(events)
			ms, _ := strconv.Atoi(s.next().retry)
			s.leave()
			seen[ms] = true
			lowest, highest = min(lowest, ms), max(highest, ms)
		}
		if lowest < 100 || highest > 500 || lowest > 120 || highest < 480 || len(seen) < 100 {
			t.Errorf("from %d to %d ms, %d different ones", lowest, highest, len(seen))
		}
	})
}

// A heartbeat is announced in whole seconds.
func TestHeartbeat(t *testing.T) {
	for every, want := range map[time.Duration]string{
		time.Millisecond:        "heartbeat 1",
		time.Second:             "heartbeat 1",
		1100 * time.Millisecond: "heartbeat 2",
		20 * time.Second:        "heartbeat 20",
	} {
		within(t, setup{Config: roomhttp.Config{Heartbeat: every}}, func(t *testing.T, w *world) {
			s := w.open(events)
			first, _, third := s.next(), s.next(), s.next()
			if first.comment != want || third != (block{comment: want, after: every}) {
				t.Errorf("every %v: %+v, %+v", every, first, third)
			}
		})
	}
}

// The token that the client has is not sent again, whichever process it is from.
func TestLastEventID(t *testing.T) {
	var id string
	within(t, setup{}, func(t *testing.T, w *world) {
		id = w.firstEvent().id
	})
	within(t, setup{}, func(t *testing.T, w *world) {
		w.get("/rooms/lobby/token") // another process has the same token
		s := w.open(events, "Last-Event-ID: "+id)
		if s.status != http.StatusOK || s.next().retry == "" {
			t.Errorf("%d", s.status)
		}
		time.Sleep(time.Minute)
		s.wantQuiet()
		if got := s.token(); got != "token 2 of lobby" {
			t.Error(got)
		}
		if b := w.firstEvent("Last-Event-ID: " + id); b.id == id {
			t.Errorf("%+v", b)
		}
		if b := w.firstEvent("Last-Event-ID: something else"); b.event != "token" {
			t.Errorf("%+v", b)
		}
	})
}

// firstEvent opens a stream for a moment, and returns its first event.
func (w *world) firstEvent(header ...string) block {
	s := w.open(events, header...)
	defer s.leave()
	return s.nextEvent()
}

// While a room has no token, its streams say so once, and again only with another code or
// after a token.
func TestStreamProblems(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		s := w.open(events)
		s.token()
		w.source.Fail(roomtoken.RetryAfter(errors.New("secret-down"), 7*time.Second), -1)
		b := s.nextEvent()
		p := decode(t, b.data)
		if b.event != "problem" || b.id != "" || b.after < 9*time.Minute+30*time.Second || b.after > 10*time.Minute {
			t.Errorf("%+v", b)
		}
		retryAfter, _ := p["retry_after"].(float64)
		if p["type"] != "about:blank" || p["title"] != "Service Unavailable" || p["status"] != 503.0 || p["code"] != "unavailable" ||
			p["detail"] == "" || retryAfter < 1 || len(p) != 6 {
			t.Errorf("%s", b.data)
		}
		time.Sleep(10 * time.Minute)
		w.source.Clear()
		w.source.Fail(errors.New("secret-down for another reason"), -1)
		time.Sleep(10 * time.Minute)
		s.wantQuiet()

		w.source.Clear()
		w.source.Fail(roomtoken.Permanent(errors.New("secret-refused")), -1)
		time.Sleep(10 * time.Minute)
		b = s.nextEvent()
		if p := decode(t, b.data); b.event != "problem" || p["code"] != "source_refused" || p["retry_after"] != nil {
			t.Errorf("%+v", b)
		}

		w.source.Clear()
		s.token()
		w.source.Fail(roomtoken.Permanent(errors.New("secret-refused")), -1)
		if b := s.nextEvent(); b.event != "problem" || !strings.Contains(b.data, "source_refused") {
			t.Errorf("%+v", b)
		}
		if log := w.log.String(); !strings.Contains(log, "secret-down") || !strings.Contains(log, "secret-refused") {
			t.Error("the log does not say why")
		}
	})
}

// The status of a stream is 200 unless it is final. Its headers wait for 2 s at most.
func TestStreamStatus(t *testing.T) {
	for _, tt := range []struct {
		name    string
		latency time.Duration
		err     error
		status  int
		code    string // of an answer that is no stream
		after   time.Duration
		event   string // the first one
		data    string // part of it
	}{
		{"token", 0, nil, 200, "", 0, "token", "token 1"},
		{"token in time", 1999 * time.Millisecond, nil, 200, "", 1999 * time.Millisecond, "token", "token 1"},
		{"late token", 5 * time.Second, nil, 200, "", 2 * time.Second, "token", "token 1"},
		{"no such room", 0, roomtoken.ErrRoomNotFound, 404, "room_not_found", 0, "", ""},
		{"no such room, in time", 1999 * time.Millisecond, roomtoken.ErrRoomNotFound, 404, "room_not_found", 1999 * time.Millisecond, "", ""},
		{"no such room, late", 3 * time.Second, roomtoken.ErrRoomNotFound, 200, "", 2 * time.Second, "end", `{"code":"room_not_found","reconnect":false}`},
		{"refused", 0, roomtoken.Permanent(errInner), 200, "", 0, "problem", `"status":502,"code":"source_refused"`},
		{"rate limited", 0, roomtoken.ErrRateLimited, 200, "", 0, "problem", `"status":503,"code":"rate_limited"`},
		{"down", 0, errInner, 200, "", 0, "problem", `"status":503,"code":"unavailable"`},
		{"down, late", 3 * time.Second, errInner, 200, "", 2 * time.Second, "problem", `"status":503,"code":"unavailable"`},
		{"too many rooms", 0, nil, 200, "", 0, "end", `{"code":"too_many_rooms","reconnect":true}`},
	} {
		var config roomtoken.Config
		if tt.name == "too many rooms" {
			config.MaxRooms = 1
		}
		within(t, setup{manager: config}, func(t *testing.T, w *world) {
			w.source.Latency = tt.latency
			switch {
			case config.MaxRooms == 1:
				w.open("/rooms/other/token/events").token()
			case tt.err != nil:
				w.source.Fail(tt.err, 1)
			}
			began := time.Now()
			s := w.open(events)
			if after := time.Since(began); s.status != tt.status || after != tt.after {
				t.Errorf("%s: %d after %v, want %d after %v", tt.name, s.status, after, tt.status, tt.after)
			}
			if tt.code != "" {
				if s.header.Get("Content-Type") != "application/problem+json" || s.header.Get("X-Accel-Buffering") != "" || s.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %v", tt.name, s.header)
				}
				if got := w.stats(); got != (roomhttp.Stats{Failed: 1}) {
					t.Errorf("%s: %+v", tt.name, got)
				}
				return
			}
			if b := s.nextEvent(); b.event != tt.event || !strings.Contains(b.data, tt.data) {
				t.Errorf("%s: %+v, want %s with %s", tt.name, b, tt.event, tt.data)
			}
		})
	}
}

// A room that is deleted while it is streamed ends its streams when it has no token any more.
func TestStreamOfARoomThatIsDeleted(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		s := w.open(events)
		s.token()
		w.source.Fail(roomtoken.ErrRoomNotFound, -1)
		s.wantEnd(`{"code":"room_not_found","reconnect":false}`)
	})
}

// A stream that was held up gets the newest token, not all that it has missed.
func TestSlowStreamGetsTheLatest(t *testing.T) {
	first := true
	config := roomhttp.Config{Authorize: func(r *http.Request, _ string) error {
		if !first {
			select {
			case <-time.After(time.Hour):
			case <-r.Context().Done():
			}
		}
		first = false
		return nil
	}}
	within(t, setup{Config: config}, func(t *testing.T, w *world) {
		s := w.open(events)
		for _, atLeast := range []int{1, 7, 14} { // in an hour there are 6 renewals at least
			var n int
			b := s.nextEvent()
			body := decode(t, b.data)
			if _, err := fmt.Sscanf(body["token"].(string), "token %d of lobby", &n); err != nil || n < atLeast || n > 1 && atLeast == 1 {
				t.Errorf("token %d, want %d, or a later one behind the first", n, atLeast)
			}
			expires, _ := time.Parse(time.RFC3339, body["token_expires_at"].(string))
			left := time.Until(expires) // up to a second less than it is: the time is rounded down
			if got := body["expires_in"].(float64); got < left.Seconds()-1 || got > left.Seconds()+1 {
				t.Errorf("token %d has %v s left, want %v", n, got, left)
			}
		}
	})
}

// All streams of a room get a token from one call.
func TestStreamsShareOneCall(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		var all []*stream
		for range 200 {
			all = append(all, w.open(events))
		}
		for n := range 3 {
			for _, s := range all {
				if got, want := s.token(), fmt.Sprintf("token %d of lobby", n+1); got != want {
					t.Fatalf("%s, want %s", got, want)
				}
			}
		}
		if got := w.source.Creates() + w.source.Refreshes(); got != 3 {
			t.Errorf("%d calls, want 3", got)
		}
		if got := w.stats(); got.TokensSent != 600 {
			t.Errorf("%+v", got)
		}
	})
}

// What is sent to all streams of a room is encoded once, yet tells each how long is left.
func TestStreamsTellTheTimeLeft(t *testing.T) {
	within(t, setup{}, func(t *testing.T, w *world) {
		for _, want := range []float64{600, 600, 590} {
			if want == 590 {
				time.Sleep(10 * time.Second)
			}
			if got := decode(t, w.firstEvent().data)["expires_in"]; got != want {
				t.Errorf("%v s left, want %v", got, want)
			}
		}
	})
}
