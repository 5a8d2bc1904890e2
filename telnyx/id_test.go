package telnyx

import (
	"context"
	"errors"
	"net/http"
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

func TestGoodRoomIDs(t *testing.T) {
	for _, id := range []string{testRoom, strings.ToUpper(testRoom), "00000000-0000-0000-0000-000000000000", "0Ccc7b54-4dF3-4bca-A65a-3da1ecc777f0"} {
		if !isUUID(id) {
			t.Errorf("%s is refused", id)
		}
	}
}
