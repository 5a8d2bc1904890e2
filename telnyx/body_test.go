package telnyx

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/roomtoken/roomtoken"
)

func TestTruncatedBody(t *testing.T) {
	for _, status := range []int{201, 403} {
		base := startServer(t, answerWith(status, `{"data":{`, "Content-Length: 500"))
		_, err := newSource(t, Config{BaseURL: base}).call(t, roomtoken.CallRefresh)
		if status == 403 { // the status suffices
			if !errors.Is(err, roomtoken.ErrRefreshRejected) {
				t.Errorf("got %v", err)
			}
			continue
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), "after 9 bytes of the body") {
			t.Errorf("got %v", err)
		}
	}
}

// endless is an endless body of spaces.
type endless struct {
	read   int
	closed bool
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

func (e *endless) Close() error {
	e.closed = true
	return nil
}

func TestEndlessBodiesAreReadUpToALimit(t *testing.T) {
	for _, status := range []int{201, 500} {
		for _, length := range []int64{-1, 1 << 40} {
			body := &endless{}
			client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Body: body, ContentLength: length, Header: http.Header{}}, nil
			})}
			source := newSource(t, Config{HTTPClient: client})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := source.call(t, roomtoken.CallCreate)
			runtime.ReadMemStats(&after)
			if err == nil || body.read > 2*maxBody {
				t.Errorf("status %d: %v after %d bytes", status, err, body.read)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 16*maxBody {
				t.Errorf("status %d: %d bytes were allocated", status, grown)
			}
		}
	}
}

// A compressed body, which the request did not ask for, is refused unread.
func TestCompressedBodiesAreNotRead(t *testing.T) {
	for _, status := range []int{201, 500} {
		body := &endless{}
		client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			header := http.Header{"Content-Encoding": {"gzip"}}
			return &http.Response{StatusCode: status, Body: body, Header: header, ContentLength: -1}, nil
		})}
		_, err := newSource(t, Config{HTTPClient: client}).call(t, roomtoken.CallCreate)
		if err == nil || body.read != 0 || !body.closed {
			t.Errorf("status %d: %v; read %d bytes of the body; closed: %v", status, err, body.read, body.closed)
		}
	}
}

func TestSwitchingProtocolsIsAnInvalidGrant(t *testing.T) {
	body := &endless{}
	client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Body: body, Header: http.Header{}}, nil
	})}
	_, err := newSource(t, Config{HTTPClient: client}).call(t, roomtoken.CallCreate)
	if !errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), "101 Switching Protocols") {
		t.Errorf("got %v", err)
	}
	if body.read != 0 || !body.closed {
		t.Errorf("read %d bytes of the stream; closed: %v", body.read, body.closed)
	}
}

func TestBodiesAreClosed(t *testing.T) {
	for _, status := range []int{200, 201, 204, 302, 403, 500} {
		body := &endless{}
		client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: body, Header: http.Header{}}, nil
		})}
		if _, err := newSource(t, Config{HTTPClient: client}).call(t, roomtoken.CallCreate); err == nil || !body.closed {
			t.Errorf("%d: %v; closed: %v", status, err, body.closed)
		}
	}
}

func TestBodyThatFailsAfterTheContextEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		cancel()
		return &http.Response{StatusCode: 201, Body: io.NopCloser(iotest.ErrReader(context.Canceled)), Header: http.Header{}}, nil
	})}
	_, err := newSource(t, Config{HTTPClient: client}).Create(ctx, testRoom)
	if !errors.Is(err, context.Canceled) || errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), "stopped reading") {
		t.Errorf("got %v", err)
	}
}
