package telnyx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/roomtoken/roomtoken"
)

var badRoomIDs = []string{
	"",
	"0ccc7b54",
	"../../evil?x=1#f",
	"0ccc7b54-4df3-4bca-a65a-3da1ecc777f",
	"0ccc7b54-4df3-4bca-a65a-3da1ecc777f00",
	"0ccc7b54-4df3-4bca-a65a-3da1ecc777fg",
	"0ccc7b54-4df3-4bca-a65a_3da1ecc777f0",
	"0ccc7b544-df3-4bca-a65a-3da1ecc777f0",
	"0ccc7b54-4df3-4bca-a65a-3da1ecc777f\n",
	"{0ccc7b54-4df3-4bca-a65a-3da1ecc777f0}",
	"urn:uuid:0ccc7b54-4df3-4bca-a65a-3da1ecc777f0",
	"0ccc7b544df34bcaa65a3da1ecc777f0",
	" 0ccc7b54-4df3-4bca-a65a-3da1ecc777f",
	"0ccc7b54-4df3-4bca-a65a-3da1ecc777é",
	"0ccc7b54/4df3/4bca/a65a/3da1ecc777f0",
	"0ccc7b54-4df3-4bca-a65a-..%2f..%2fab",
	strings.Repeat("é", 18),
	strings.Repeat("x", 1<<20),
}

func TestBadRoomIDsMakeNoRequest(t *testing.T) {
	var requests, keys atomic.Int64
	source := newSource(t, Config{
		APIKeyFunc: func(context.Context) (string, error) { keys.Add(1); return testKey, nil },
		HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			requests.Add(1)
			return nil, errors.New("no")
		})},
	})
	for _, id := range badRoomIDs {
		_, createErr := source.Create(t.Context(), id)
		_, refreshErr := source.Refresh(t.Context(), id, testRefreshToken)
		if !errors.Is(createErr, roomtoken.ErrRoomNotFound) || !errors.Is(createErr, roomtoken.ErrPermanent) {
			t.Errorf("%.40q: got %v; want ErrRoomNotFound", id, createErr)
		}
		if !errors.Is(refreshErr, roomtoken.ErrRefreshRejected) || errors.Is(refreshErr, roomtoken.ErrPermanent) {
			t.Errorf("%.40q: got %v; want ErrRefreshRejected only", id, refreshErr)
		}
		for _, err := range []error{createErr, refreshErr} {
			if err == nil {
				continue
			}
			if text := err.Error(); len(text) > 200 || strings.ContainsAny(text, "\n\x00") {
				t.Errorf("%.40q: the error is %q", id, text)
			}
		}
	}
	if requests.Load() != 0 || keys.Load() != 0 {
		t.Errorf("%d requests and %d calls of APIKeyFunc for bad room IDs; want none", requests.Load(), keys.Load())
	}
}

func TestParseRoomID(t *testing.T) {
	for _, id := range []string{testRoom, strings.ToUpper(testRoom), "00000000-0000-0000-0000-000000000000", "0Ccc7b54-4dF3-4bca-A65a-3da1ecc777f0"} {
		if got, err := ParseRoomID(id); err != nil || got != strings.ToLower(id) {
			t.Errorf("%s: got %q, %v", id, got, err)
		}
	}
	for _, id := range badRoomIDs {
		if got, err := ParseRoomID(id); got != "" || !errors.Is(err, roomtoken.ErrRoomNotFound) || len(err.Error()) > 200 || !strings.HasPrefix(err.Error(), "telnyx: ") {
			t.Errorf("%.40q: got %q, %v", id, got, err)
		}
	}
}

// participants is a Config.RoomID for keys of the form ROOM/PARTICIPANT.
func participants(key string) (string, error) {
	room, participant, ok := strings.Cut(key, "/")
	if !ok || participant == "" {
		return "", errBadKey
	}
	return ParseRoomID(room)
}

var errBadKey = errors.New("not of the form ROOM/PARTICIPANT")

// The Manager caches by key; the calls are for the room.
func TestRoomIDMapsKeys(t *testing.T) {
	base, requests := record(t, goodAnswer())
	source := newSource(t, Config{BaseURL: base + "/v2", RoomID: participants})
	manager, err := roomtoken.NewManager(source, roomtoken.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	for _, participant := range []string{"alice", "bob", "alice"} {
		if _, err := manager.Token(t.Context(), strings.ToUpper(testRoom)+"/"+participant); err != nil {
			t.Error(err)
		}
	}
	if _, err := source.Refresh(t.Context(), testRoom+"/alice", testRefreshToken); err != nil {
		t.Error(err)
	}
	var uris []string
	for _, request := range requests() {
		uris = append(uris, request.uri)
	}
	create := "/v2/rooms/" + testRoom + "/actions/generate_join_client_token"
	if want := []string{create, create, "/v2/rooms/" + testRoom + "/actions/refresh_client_token"}; !slices.Equal(uris, want) {
		t.Errorf("got requests to %q; want %q", uris, want)
	}
}

func TestKeysThatAreNoRoomsMakeNoRequest(t *testing.T) {
	var requests atomic.Int64
	thrown := errors.New("index out of range")
	for name, test := range map[string]struct {
		roomID func(string) (string, error)
		key    string
		wraps  error // beside the sentinel
		want   string
	}{
		"an error":      {participants, "lobby", errBadKey, `Config.RoomID failed for key "lobby": not of the form ROOM/PARTICIPANT`},
		"a parse error": {participants, "lobby/alice", roomtoken.ErrRoomNotFound, `Config.RoomID failed for key "lobby/al…": telnyx: room ID "lobby" (5 bytes) is not a UUID`},
		"no UUID":       {func(string) (string, error) { return "../evil", nil }, "lobby", nil, `Config.RoomID, for key "lobby": room ID "../evil" (7 bytes) is not a UUID`},
		"empty":         {func(string) (string, error) { return "", nil }, "lobby", nil, `Config.RoomID, for key "lobby": the room ID is empty`},
		"unauthorized":  {func(string) (string, error) { return "", roomtoken.ErrUnauthorized }, "lobby", nil, `Config.RoomID failed for key "lobby": `},
		"rate limited":  {func(string) (string, error) { return "", fmt.Errorf("x: %w", roomtoken.ErrRateLimited) }, "lobby", nil, `Config.RoomID failed for key "lobby": x: `},
		"a panic":       {func(string) (string, error) { panic(thrown) }, "lobby", nil, `Config.RoomID panicked for key "lobby": index out of range`},
		"a long secret": {func(key string) (string, error) { return "", errors.New(key + "\n" + testKey) }, strings.Repeat("é", 500), nil, `Config.RoomID failed for key "éééé…": é`},
	} {
		source := newSource(t, Config{RoomID: test.roomID, HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			requests.Add(1)
			return nil, errors.New("no")
		})}})
		_, createErr := source.Create(t.Context(), test.key)
		_, refreshErr := source.Refresh(t.Context(), test.key, testRefreshToken)
		if !errors.Is(createErr, roomtoken.ErrRoomNotFound) || errors.Is(createErr, roomtoken.ErrUnauthorized) || errors.Is(createErr, roomtoken.ErrRateLimited) {
			t.Errorf("%s: Create returned %v; want ErrRoomNotFound", name, createErr)
		}
		if !errors.Is(refreshErr, roomtoken.ErrRefreshRejected) {
			t.Errorf("%s: Refresh returned %v; want ErrRefreshRejected", name, refreshErr)
		}
		for _, err := range []error{createErr, refreshErr} {
			if test.wraps != nil && !errors.Is(err, test.wraps) {
				t.Errorf("%s: %v does not wrap %v", name, err, test.wraps)
			}
			if panicked := (*roomtoken.PanicError)(nil); errors.As(err, &panicked) != (name == "a panic") || panicked != nil && (panicked.Value != thrown || len(panicked.Stack) == 0) {
				t.Errorf("%s: %v wraps %v", name, err, panicked)
			}
			if !strings.Contains(err.Error(), ": "+test.want) || !strings.HasPrefix(err.Error(), "telnyx: ") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 1200 {
				t.Errorf("%s: got %q; want %q in it", name, err, test.want)
			}
			mustNotLeak(t, err.Error())
		}
	}
	if requests.Load() != 0 {
		t.Errorf("%d requests were made", requests.Load())
	}
}
