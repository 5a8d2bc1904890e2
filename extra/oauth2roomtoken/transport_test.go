package oauth2roomtoken_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomtoken/roomtoken"
	"github.com/roomtoken/roomtoken/extra/oauth2roomtoken"
	"github.com/roomtoken/roomtoken/roomtokentest"
)

const url = "https://api.example.com/v2/rooms"

func TestRequestCarriesTheToken(t *testing.T) {
	var sent []string
	transport, source := newTransport(t, func(req *http.Request) (*http.Response, error) {
		sent = append(sent, tokenOf(req))
		return answer(http.StatusOK, "welcome"), nil
	})
	for range 2 {
		resp, err := transport.RoundTrip(newRequest(t, "GET", url, nil))
		if err != nil || read(t, resp) != "welcome" {
			t.Fatal(err)
		}
	}
	if want := []string{"token 1 of lobby", "token 1 of lobby"}; !slices.Equal(sent, want) || source.Creates() != 1 {
		t.Errorf("sent %q after %d creates, want %q after 1", sent, source.Creates(), want)
	}
}

// A refused token is replaced, and the request is sent again with its whole body.
func TestRefusedTokenIsReplaced(t *testing.T) {
	for name, makeBody := range map[string]func() io.Reader{
		"no body":   func() io.Reader { return nil },
		"NoBody":    func() io.Reader { return http.NoBody },
		"with body": func() io.Reader { return strings.NewReader("a long story") },
	} {
		t.Run(name, func(t *testing.T) {
			var sent []string
			var refusals []*http.Response
			transport, _ := newTransport(t, func(req *http.Request) (*http.Response, error) {
				text := ""
				if req.Body != nil {
					b, _ := io.ReadAll(req.Body)
					text = string(b)
				}
				sent = append(sent, tokenOf(req)+": "+text)
				if len(sent) == 1 {
					refusals = append(refusals, answer(http.StatusUnauthorized, "who are you?"))
					return refusals[0], nil
				}
				return answer(http.StatusOK, "welcome"), nil
			})
			req := newRequest(t, "POST", url, makeBody())
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			story := ""
			if name == "with body" {
				story = "a long story"
			}
			if text := read(t, resp); resp.StatusCode != http.StatusOK || text != "welcome" {
				t.Errorf("answer %d %q, want that to the second request", resp.StatusCode, text)
			}
			if want := []string{"token 1 of lobby: " + story, "token 2 of lobby: " + story}; !slices.Equal(sent, want) {
				t.Errorf("sent %q, want %q", sent, want)
			}
			if !refusals[0].Body.(*body).closed.Load() {
				t.Error("the body of the first answer was not closed")
			}
		})
	}
}

// A server that refuses everything gets two requests, and its second answer is the result.
func TestOneRetry(t *testing.T) {
	requests := 0
	transport, source := newTransport(t, func(*http.Request) (*http.Response, error) {
		requests++
		return answer(http.StatusUnauthorized, strings.Repeat("no", requests)), nil
	})
	resp, err := transport.RoundTrip(newRequest(t, "GET", url, nil))
	if err != nil {
		t.Fatal(err)
	}
	if text := read(t, resp); text != "nono" || requests != 2 || source.Creates() != 2 {
		t.Errorf("answer %q after %d requests and %d creates, want nono after 2 and 2", text, requests, source.Creates())
	}
	if _, ok := transport.Manager.Cached("lobby"); ok {
		t.Error("the second token was refused too, and is still handed out")
	}
}

// Where there can be no second request, the caller gets the first answer, and the next
// request a new token.
func TestFirstAnswerWhole(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(req *http.Request, source *roomtokentest.Source)
	}{
		{"no GetBody", func(req *http.Request, _ *roomtokentest.Source) { req.GetBody = nil }},
		{"GetBody fails", func(req *http.Request, _ *roomtokentest.Source) {
			req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("gone") }
		}},
		{"no new token", func(_ *http.Request, source *roomtokentest.Source) {
			source.Fail(roomtoken.Permanent(errDown), 1)
		}},
		{"no new token in time", func(_ *http.Request, source *roomtokentest.Source) { source.Fail(errDown, -1) }},
	} {
		t.Run(test.name, bubble(func(t *testing.T) {
			requests := 0
			refusal := answer(http.StatusUnauthorized, strings.Repeat("no. ", 10_000))
			transport, source := newTransport(t, func(req *http.Request) (*http.Response, error) {
				requests++
				_, _ = io.Copy(io.Discard, req.Body)
				return refusal, nil
			})
			first, err := transport.Manager.Token(t.Context(), "lobby")
			if err != nil {
				t.Fatal(err)
			}
			req := newRequest(t, "POST", url, strings.NewReader("a long story"))
			var rewound []*body
			getBody := req.GetBody
			req.GetBody = func() (io.ReadCloser, error) {
				r, err := getBody()
				b := &body{Reader: r}
				rewound = append(rewound, b)
				return b, err
			}
			test.make(req, source)
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp != refusal || refusal.Body.(*body).closed.Load() || requests != 1 {
				t.Errorf("not the first answer, or closed, after %d requests", requests)
			}
			if text := read(t, resp); text != strings.Repeat("no. ", 10_000) {
				t.Errorf("%d bytes of the first answer are left, want 40,000", len(text))
			}
			for _, b := range rewound {
				if !b.closed.Load() {
					t.Error("a body that was not sent is left open")
				}
			}
			source.Clear()
			if next, ok := transport.Manager.Cached("lobby"); ok && next.Value.Equal(first.Value) {
				t.Error("the refused token is still handed out")
			}
		}))
	}
}

// Only a 401 says that the token is not accepted.
func TestOtherAnswersRefuseNothing(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusBadGateway} {
		requests := 0
		transport, source := newTransport(t, func(*http.Request) (*http.Response, error) {
			requests++
			return answer(status, ""), nil
		})
		resp, err := transport.RoundTrip(newRequest(t, "GET", url, nil))
		if err != nil {
			t.Fatal(err)
		}
		_, kept := transport.Manager.Cached("lobby")
		if resp.StatusCode != status || requests != 1 || source.Creates() != 1 || !kept {
			t.Errorf("%d: answer %d after %d requests, token kept: %v; want it as it is", status, resp.StatusCode, requests, kept)
		}
	}
}

// A hundred requests whose token is refused cost one call.
func TestParallelRefusalsCostOneCall(t *testing.T) {
	var arrived sync.WaitGroup
	arrived.Add(100)
	transport, source := newTransport(t, func(req *http.Request) (*http.Response, error) {
		if tokenOf(req) == "token 1 of lobby" {
			arrived.Done()
			arrived.Wait()
			return answer(http.StatusUnauthorized, ""), nil
		}
		return answer(http.StatusOK, tokenOf(req)), nil
	})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			resp, err := transport.RoundTrip(newRequest(t, "GET", url, nil))
			if err != nil {
				t.Error(err)
				return
			}
			if text := read(t, resp); text != "token 2 of lobby" {
				t.Errorf("answer %q, want it to the second token", text)
			}
		})
	}
	all.Wait()
	if source.Creates() != 2 {
		t.Errorf("%d creates, want 2", source.Creates())
	}
}

func TestRequestIsNotChanged(t *testing.T) {
	requests := 0
	transport, _ := newTransport(t, func(req *http.Request) (*http.Response, error) {
		requests++
		req.Header.Set("X-Base", "was here")
		resp := answer(http.StatusUnauthorized, "")
		resp.Request = req // as http.Transport does
		return resp, nil
	})
	req := newRequest(t, "POST", url, strings.NewReader("a long story"))
	req.Header.Set("Authorization", "Bearer of good news")
	req.Header.Set("Accept", "text/plain")
	before, header := *req, req.Header.Clone()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(req.Header, header, slices.Equal) {
		t.Errorf("the request's header is %v, was %v", req.Header, header)
	}
	if req.Body != before.Body || req.URL != before.URL || req.Context() != before.Context() || requests != 2 {
		t.Error("the request was changed")
	}
	if resp.Request != req {
		t.Errorf("the response is one to %v, want the caller's request", resp.Request)
	}
}

func TestNilHeaderAndNilAnswers(t *testing.T) {
	var resp *http.Response
	transport, _ := newTransport(t, func(*http.Request) (*http.Response, error) { return resp, nil })
	req := newRequest(t, "GET", url, nil)
	req.Header = nil
	if got, err := transport.RoundTrip(req); got != nil || err != nil {
		t.Errorf("got %v, %v; want what Base returned", got, err)
	}
	resp = &http.Response{StatusCode: http.StatusUnauthorized} // no body
	if got, err := transport.RoundTrip(req); got != resp || err != nil {
		t.Errorf("got %v, %v; want what Base returned", got, err)
	}
}

// The request's body is closed in all cases, and nothing is sent where there is no token.
func TestBodyIsAlwaysClosed(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, test := range []struct {
		name string
		make func(*oauth2roomtoken.Transport, *roomtokentest.Source)
		url  string
		ctx  context.Context
		sent int
		err  string
	}{
		{name: "sent", url: url, sent: 1},
		{name: "in the clear", url: "http://api.example.com/", err: "in the clear"},
		{name: "no URL", err: "no URL"},
		{
			name: "no manager", url: url, err: "Manager is nil",
			make: func(tr *oauth2roomtoken.Transport, _ *roomtokentest.Source) { tr.Manager = nil },
		},
		{
			name: "no token", url: url, err: "out of order",
			make: func(_ *oauth2roomtoken.Transport, source *roomtokentest.Source) { source.Fail(errDown, -1) },
		},
		{
			name: "closed", url: url, err: "closed",
			make: func(tr *oauth2roomtoken.Transport, _ *roomtokentest.Source) { tr.Manager.Close() },
		},
		{name: "canceled", url: url, ctx: canceled, err: "canceled"},
		{
			name: "Base fails", url: url, sent: 1, err: "reset by peer",
			make: func(tr *oauth2roomtoken.Transport, _ *roomtokentest.Source) {
				base := tr.Base
				tr.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
					_, _ = base.RoundTrip(req)
					return nil, errors.New("reset by peer")
				})
			},
		},
	} {
		t.Run(test.name, bubble(func(t *testing.T) {
			sent := 0
			transport, source := newTransport(t, func(*http.Request) (*http.Response, error) {
				sent++
				return answer(http.StatusOK, ""), nil
			})
			if test.make != nil {
				test.make(transport, source)
			}
			b := newBody("a long story")
			req := newRequest(t, "POST", test.url, b)
			if test.ctx != nil {
				req = req.WithContext(test.ctx)
			}
			if test.url == "" {
				req.URL = nil
			}
			_, err := transport.RoundTrip(req)
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if sent != test.sent {
				t.Errorf("%d requests were sent, want %d", sent, test.sent)
			}
			if !b.closed.Load() {
				t.Error("the request's body is open")
			}
		}))
	}
}

// The wait for a new token is the caller's: its ctx ends it.
func TestCtxEndsTheWaitForANewToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		transport, source := newTransport(t, func(*http.Request) (*http.Response, error) {
			return answer(http.StatusUnauthorized, "who are you?"), nil
		})
		if _, err := transport.Manager.Token(ctx, "lobby"); err != nil {
			t.Fatal(err)
		}
		hold := source.Hold()
		defer hold.Release()

		began := time.Now()
		resp, err := transport.RoundTrip(newRequest(t, "GET", url, nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		if text := read(t, resp); text != "who are you?" || time.Since(began) != time.Second {
			t.Errorf("answer %q after %v, want the first one after 1s", text, time.Since(began))
		}
	})
}

func TestNoErrorHoldsTheToken(t *testing.T) {
	transport, _ := newTransport(t, func(*http.Request) (*http.Response, error) { return nil, errDown })
	var texts bytes.Buffer
	for _, to := range []string{url, "http://api.example.com/", "ftp://api.example.com/"} {
		_, err := transport.RoundTrip(newRequest(t, "GET", to, nil))
		if err == nil {
			t.Fatalf("%s: no error", to)
		}
		texts.WriteString(err.Error())
	}
	if strings.Contains(texts.String(), "token 1 of lobby") {
		t.Error(texts.String())
	}
}

// A body that fills in the trailer while it is read is sent with its trailer.
func TestTrailers(t *testing.T) {
	transport, _ := newTransport(t, func(req *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, req.Body)
		if got := req.Trailer.Get("Checksum"); got != "abc" {
			t.Errorf("the trailer is %q after the body; want abc", got)
		}
		return answer(http.StatusOK, "fine"), nil
	})
	req := newRequest(t, http.MethodPost, "https://api.example/", nil)
	req.Trailer = http.Header{"Checksum": nil}
	req.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
		req.Trailer.Set("Checksum", "abc")
		return 0, io.EOF
	}))
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	read(t, resp)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A 401 whose body does not come does not hold up the second request.
func TestRefusalWithoutABody(t *testing.T) {
	requests := 0
	transport, _ := newTransport(t, func(*http.Request) (*http.Response, error) {
		if requests++; requests > 1 {
			return answer(http.StatusOK, "fine"), nil
		}
		resp := answer(http.StatusUnauthorized, "")
		resp.ContentLength = 5
		resp.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
			t.Error("the body of the 401 is read, and may never come")
			return 0, io.EOF
		}))
		return resp, nil
	})
	resp, err := transport.RoundTrip(newRequest(t, http.MethodGet, "https://api.example/", nil))
	if err != nil || resp.StatusCode != http.StatusOK || requests != 2 {
		t.Fatalf("got %v, %v after %d requests", resp, err, requests)
	}
	read(t, resp)
}
