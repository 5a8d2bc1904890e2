package telnyx

import (
	"bytes"
	"compress/gzip"
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

func TestHalfABody(t *testing.T) {
	for _, status := range []int{201, 403} {
		base := startServer(t, answerWith(status, `{"data":{`, "Content-Length: 500"))
		_, err := newSource(t, Config{BaseURL: base}).call(t, opRefresh)
		if status == 403 { // the status says all there is to know
			if !errors.Is(err, roomtoken.ErrRefreshRejected) {
				t.Errorf("got %v", err)
			}
			continue
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), "broke off after 9 bytes") {
			t.Errorf("got %v", err)
		}
	}
}

// endless is a body without an end.
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

func TestEndlessBodiesAreReadToABound(t *testing.T) {
	for _, status := range []int{201, 500} {
		for _, length := range []int64{-1, 1 << 40} {
			body := &endless{}
			client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Body: body, ContentLength: length, Header: http.Header{}}, nil
			})}
			source := newSource(t, Config{HTTPClient: client})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := source.call(t, opCreate)
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

func TestNoTransportUnpacksABomb(t *testing.T) {
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	io.CopyN(packer, &endless{}, 4*maxBody)
	packer.Close()
	base := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("gzip was asked for")
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(201)
		w.Write(bomb.Bytes())
	})
	for _, client := range []*http.Client{nil, {}} {
		_, err := newSource(t, Config{BaseURL: base, HTTPClient: client}).call(t, opCreate)
		if !errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), "gzip") {
			t.Errorf("got %v", err)
		}
	}
}

func TestSwitchingProtocolsIsNoGrant(t *testing.T) {
	body := &endless{}
	client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Body: body, Header: http.Header{}}, nil
	})}
	_, err := newSource(t, Config{HTTPClient: client}).call(t, opCreate)
	if !errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), "101 Switching Protocols") {
		t.Errorf("got %v", err)
	}
	if body.read != 0 || !body.closed {
		t.Errorf("%d bytes of the stream were read; closed: %v", body.read, body.closed)
	}
}

func TestBodiesAreClosed(t *testing.T) {
	for _, status := range []int{200, 201, 204, 302, 403, 500} {
		body := &endless{}
		client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: body, Header: http.Header{}}, nil
		})}
		if _, err := newSource(t, Config{HTTPClient: client}).call(t, opCreate); err == nil || !body.closed {
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
	if !errors.Is(err, context.Canceled) || errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), "not waited for") {
		t.Errorf("got %v", err)
	}
}
