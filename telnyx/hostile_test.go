package telnyx

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomtoken/roomtoken"
)

// These tests send responses of a hostile or compromised server. Each must result in a
// printable error, within limited memory and time.

// mostAllocated limits what one call may allocate, in bytes, including the server. A body
// of 1 MiB is read into a buffer that doubles as it grows.
const mostAllocated = 16 * maxBody

// boundedCall makes a call that must fail within 30 s and without allocating more than
// mostAllocated.
func boundedCall(t *testing.T, source *Source, kind roomtoken.CallKind) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var err error
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if kind == roomtoken.CallCreate {
		_, err = source.Create(ctx, testRoom)
	} else {
		_, err = source.Refresh(ctx, testRoom, testRefreshToken)
	}
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Fatalf("%s: no error", kind)
	}
	if ctx.Err() != nil {
		t.Errorf("%s: took more than 30 s", kind)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > mostAllocated {
		t.Errorf("%s: allocated %.1f MiB", kind, float64(grown)/(1<<20))
	}
	checkErrorText(t, err)
	return err
}

func TestTenGigabytesAreNotRead(t *testing.T) {
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	const all = 10 << 30
	for _, status := range []int{200, 201, 202, 302, 403, 500} {
		for _, announced := range []bool{false, true} {
			var sent atomic.Int64
			left := make(chan struct{}, 2)
			base := startServer(t, func(w http.ResponseWriter, _ *http.Request) {
				defer func() { left <- struct{}{} }()
				if announced {
					w.Header().Set("Content-Length", fmt.Sprint(int64(all)))
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				io.WriteString(w, `{"data":{"token":"`)
				for sent.Load() < all {
					n, err := w.Write(chunk)
					sent.Add(int64(n))
					if err != nil {
						return
					}
				}
			})
			source := newSource(t, Config{BaseURL: base})
			for _, kind := range bothKinds {
				err := boundedCall(t, source, kind)
				<-left
				if status <= 201 && (!errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), "larger than 1 MiB")) {
					t.Errorf("%s, %d: got %v", kind, status, err)
				}
				if status >= 300 && !strings.Contains(err.Error(), statusName(status)) {
					t.Errorf("%s, %d: got %v", kind, status, err)
				}
			}
			if sent.Load() > 64<<20 { // includes what the socket buffers hold
				t.Errorf("%d: %d MiB were sent", status, sent.Load()>>20)
			}
		}
	}
}

// decompressing is a transport that decompresses every response.
func decompressing(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	inflated, err := gzip.NewReader(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Header.Del("Content-Encoding")
	resp.Body, resp.ContentLength = struct {
		io.Reader
		io.Closer
	}{inflated, resp.Body}, -1
	return resp, nil
}

func TestGzipBombsAreNotInflated(t *testing.T) {
	var member bytes.Buffer
	writer := gzip.NewWriter(&member)
	io.CopyN(writer, &endless{}, 1<<20)
	writer.Close()
	bomb := bytes.Repeat(member.Bytes(), 1<<10) // 1 GiB: a gzip file is a series of members (RFC 1952, 2.2)
	for name, test := range map[string]struct {
		encoding, want string
		client         *http.Client
	}{
		"default client":          {"gzip", "compressed (gzip)", nil},
		"wrong Content-Encoding":  {"identity", "", nil},
		"decompressing transport": {"gzip", "larger than 1 MiB", &http.Client{Transport: roundTripper(decompressing)}},
		"net/http defaults":       {"gzip", "compressed (gzip)", &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}},
	} {
		for _, status := range []int{201, 500} {
			base := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				if accept := r.Header.Get("Accept-Encoding"); accept != "identity" {
					t.Errorf("%s: Accept-Encoding is %q", name, accept)
				}
				w.Header().Set("Content-Encoding", test.encoding)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				w.Write(bomb)
			})
			source := newSource(t, Config{BaseURL: base, HTTPClient: test.client})
			for _, kind := range bothKinds {
				err := boundedCall(t, source, kind)
				if status == 201 && (!errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("%s, %s: got %v", name, kind, err)
				}
				if status == 500 && !strings.Contains(err.Error(), ": 500 Internal Server Error") {
					t.Errorf("%s, %s: got %v", name, kind, err)
				}
			}
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// hostileJSON returns JSON texts of up to maxBody bytes that are expensive to decode.
func hostileJSON() map[string]string {
	fill := func(begin, each, end string) string {
		n := (maxBody - len(begin) - len(end)) / len(each)
		return begin + strings.TrimSuffix(strings.Repeat(each, n), ",") + end
	}
	distinct := func(begin, end string) string {
		var b strings.Builder
		b.WriteString(begin)
		for i := 0; b.Len() < maxBody-30-len(end); i++ {
			fmt.Fprintf(&b, `"%x":{},`, i)
		}
		return strings.TrimSuffix(b.String(), ",") + end
	}
	deep := strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000)
	return map[string]string{
		"a million brackets":                strings.Repeat("[", 1_000_000),
		"a million brackets that close":     deep,
		"brackets in the token":             `{"data":{"token":` + deep + `}}`,
		"brackets in an unknown field":      `{"data":{"other":` + deep + `}}`,
		"brackets in the errors":            `{"errors":` + deep + `}`,
		"braces":                            strings.Repeat(`{"data":`, 125_000),
		"braces in the errors":              strings.Repeat(`{"errors":[`, 90_000),
		"braces in the source":              strings.Repeat(`{"source":`, 100_000),
		"depth that encoding/json allows":   `{"errors":[` + strings.Repeat(`{"source":`, 9_000) + "1" + strings.Repeat("}", 9_000) + `]}`,
		"a wide token":                      fill(`{"data":{"token":[`, `1,`, `]}}`),
		"a wide token of objects":           fill(`{"data":{"token":[`, `{},`, `]}}`),
		"a token with many members":         distinct(`{"data":{"token":{`, `}}}`),
		"an expiry with many members":       distinct(`{"data":{"token":"t","token_expires_at":{`, `}}}`),
		"wide data":                         fill(`{"data":[`, `1,`, `]}`),
		"a wide document":                   fill(`[`, `1,`, `]`),
		"wide errors":                       fill(`{"errors":[`, `1,`, `]}`),
		"wide errors of objects":            fill(`{"errors":[`, `{},`, `]}`),
		"wide errors of strings":            fill(`{"errors":[`, `"",`, `]}`),
		"wide errors of fields":             fill(`{"errors":{`, `"f":"m",`, `}}`),
		"a long name of a field":            fill(`{"errors":{"`+strings.Repeat("f", 16000)+`":[`, `1,`, `]}}`)[:32_000] + `1]}}`,
		"escaped names of fields":           fill(`{"errors":{`, `"\u0066":["m"],`, `}}`),
		"errors in errors":                  fill(`{"errors":[`, `{"errors":[]},`, `]}`),
		"a repeated token":                  fill(`{"data":{`, `"token":"t",`, `}}`),
		"repeated data":                     fill(`{`, `"data":{"token":"t"},`, `}`),
		"repeated errors":                   fill(`{`, `"errors":[{}],`, `}`),
		"a repeated title":                  fill(`{`, `"title":"t",`, `}`),
		"a number of a million digits":      fill(`{"data":{"token":`, `1`, `}}`),
		"a code of a million digits":        fill(`{"errors":[{"code":`, `1`, `}]}`),
		"a number with a million exponents": fill(`{"data":{"token_expires_at":1e`, `9`, `,"token":5}}`),
		"a string of escapes":               fill(`{"data":{"token":"`, `\u0000`, `"}}`),
		"a title of escapes":                fill(`{"title":"`, `\u202e`, `"}`),
		"an unterminated string":            fill(`{"data":{"token":"`, `x`, ``),
		"white space":                       fill(``, ` `, ``),
		"white space in text":               fill(`x`, ` `, `x`),
		"names with escapes":                fill(`{"data":{`, `"\u0074oken":5,`, `}}`),
		"what looks like tokens":            fill(`{"title":"`, `eyJ eyJeyJeyJ.`, `"}`),
		"tags":                              fill(``, `<title>`, ``),
	}
}

func TestExpensiveJSON(t *testing.T) {
	for name, body := range hostileJSON() {
		t.Run(name, func(t *testing.T) {
			if len(body) > maxBody {
				t.Fatalf("the body has %d bytes", len(body))
			}
			for _, test := range []struct {
				endpoints Endpoints
				kind      roomtoken.CallKind
				status    int
			}{{ClientTokens, roomtoken.CallCreate, 201}, {AccessTokens, roomtoken.CallRefresh, 201}, {ClientTokens, roomtoken.CallRefresh, 403}} {
				client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: test.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
				})}
				err := boundedCall(t, newSource(t, Config{HTTPClient: client, Endpoints: test.endpoints}), test.kind)
				if test.status == 201 && !errors.Is(err, roomtoken.ErrInvalidGrant) {
					t.Errorf("%s: got %v", test.kind, err)
				}
			}
		})
	}
}

func TestDuplicateFieldsAreInvalidGrants(t *testing.T) {
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for name, body := range map[string]string{
		"the token":             `{"data":{"token":"one","token":"other","token_expires_at":"` + later + `"}}`,
		"the same token":        `{"data":{"token":"one","token":"one","token_expires_at":"` + later + `"}}`,
		"a token and null":      `{"data":{"token":"one","token":null,"token_expires_at":"` + later + `"}}`,
		"null and a token":      `{"data":{"token":null,"token":"one","token_expires_at":"` + later + `"}}`,
		"with escapes":          `{"data":{"token":"one","\u0074oken":"other","token_expires_at":"` + later + `"}}`,
		"the expiry":            `{"data":{"token":"one","token_expires_at":"` + later + `","token_expires_at":"` + later + `"}}`,
		"data":                  `{"data":{"token":"one","token_expires_at":"` + later + `"},"data":{"token":"other","token_expires_at":"` + later + `"}}`,
		"data in two parts":     `{"data":{"token":"one"},"data":{"token":"other","token_expires_at":"` + later + `"}}`,
		"data with a bad token": `{"data":{"token":5},"data":{"token":"other","token_expires_at":"` + later + `"}}`,
	} {
		base := startServer(t, answerWith(201, body))
		for _, kind := range bothKinds {
			grant, err := newSource(t, Config{BaseURL: base}).call(t, kind)
			if !errors.Is(err, roomtoken.ErrInvalidGrant) || !strings.Contains(err.Error(), "occurs more than once") || !grant.Token.IsZero() {
				t.Errorf("%s, %s: got %v", name, kind, err)
			}
		}
	}

	// A duplicate refresh token must not affect the client token.
	base := startServer(t, answerWith(201, `{"data":{"token":"t","token_expires_at":"`+later+`","refresh_token":"one","refresh_token":"other"}}`))
	grant, err := newSource(t, Config{BaseURL: base}).call(t, roomtoken.CallCreate)
	if err != nil || grant.Token.Value.Reveal() != "t" || !grant.RefreshToken.IsZero() {
		t.Errorf("two refresh tokens: got %v, %v", grant, err)
	}
}

// startRaw starts a server that reads the header of one request per connection and then
// calls serve. closed receives a value when serve has returned.
func startRaw(t *testing.T, serve func(net.Conn)) (base string, closed <-chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	done := make(chan struct{}, 16)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { done <- struct{}{} }()
				defer conn.Close()
				if _, err := conn.Read(make([]byte, 64<<10)); err == nil {
					serve(conn)
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String(), done
}

// pour returns a function that writes text until the client closes the connection.
func pour(text string) func(net.Conn) {
	chunk := []byte(strings.Repeat(text, 1+(16<<10)/len(text)))
	return func(conn net.Conn) {
		for {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	}
}

func TestEndlessHeaders(t *testing.T) {
	for name, test := range map[string]struct{ begin, again string }{
		"lines":                {"HTTP/1.1 201 Created\r\n", "X-A: " + strings.Repeat("a", 100) + "\r\n"},
		"short lines":          {"HTTP/1.1 201 Created\r\n", "a:\r\n"},
		"different lines":      {"HTTP/1.1 201 Created\r\nX-A: ", "a\r\nX-B: b\r\nX-C: c\r\nX-"},
		"continued lines":      {"HTTP/1.1 201 Created\r\nX-A: a\r\n", " a\r\n"},
		"one value":            {"HTTP/1.1 201 Created\r\nX-A: ", "aaaaaaaaaaaaaaaa"},
		"one name":             {"HTTP/1.1 201 Created\r\n", "aaaaaaaaaaaaaaaa"},
		"a reason":             {"HTTP/1.1 201 ", "aaaaaaaaaaaaaaaa"},
		"a version":            {"HTTP/1.", "1111111111111111"},
		"early hints":          {"", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"},
		"continue":             {"", "HTTP/1.1 100 Continue\r\n\r\n"},
		"not HTTP":             {"", "\x16\x03\x01\x00\xff"},
		"a chunk's extensions": {"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n1;", "aaaaaaaaaaaaaaaa"},
		"tiny chunks":          {"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n", "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n"},
		"trailers":             {"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n0\r\n", "X-A: a\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			base, closed := startRaw(t, func(conn net.Conn) {
				if _, err := io.WriteString(conn, test.begin); err == nil {
					pour(test.again)(conn)
				}
			})
			source := newSource(t, Config{BaseURL: base})
			for _, kind := range bothKinds {
				err := boundedCall(t, source, kind)
				for _, sentinel := range []error{roomtoken.ErrPermanent, roomtoken.ErrRefreshRejected, roomtoken.ErrRateLimited} {
					if errors.Is(err, sentinel) {
						t.Errorf("%v is %v", err, sentinel)
					}
				}
				<-closed // the client closes the connection
			}
		})
	}
}

// A call whose response trickles in without end returns when its ctx ends.
func TestTricklingResponses(t *testing.T) {
	for name, test := range map[string]struct{ begin, again string }{
		"headers":      {"HTTP/1.1 201 Created\r\n", "X-A: a\r\n"},
		"one header":   {"HTTP/1.1 201 Created\r\nX-A: ", "a"},
		"hints":        {"HTTP/1.1 103 Early Hints\r\n", "A: a\r\n"},
		"a body":       {"HTTP/1.1 201 Created\r\nContent-Length: 1000000\r\n\r\n{", " "},
		"chunks":       {"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n"},
		"until closed": {"HTTP/1.1 201 Created\r\n\r\n{", " "},
		"an error":     {"HTTP/1.1 500 Internal Server Error\r\n\r\n{", " "},
	} {
		t.Run(name, func(t *testing.T) {
			for _, kind := range bothKinds {
				ctx, cancel := context.WithCancel(t.Context())
				base, closed := startRaw(t, func(conn net.Conn) {
					text := test.begin
					for writes := 0; ; writes++ {
						if _, err := io.WriteString(conn, text); err != nil {
							return
						}
						text = test.again
						if writes == 5 {
							cancel()
						}
						time.Sleep(100 * time.Microsecond)
					}
				})
				source := newSource(t, Config{BaseURL: base})
				var err error
				if kind == roomtoken.CallCreate {
					_, err = source.Create(ctx, testRoom)
				} else {
					_, err = source.Refresh(ctx, testRoom, testRefreshToken)
				}
				<-closed
				// An error status suffices: the error does not depend on the body.
				if apiError := (*APIError)(nil); !errors.Is(err, context.Canceled) && (name != "an error" || !errors.As(err, &apiError)) {
					t.Errorf("%s: got %v", kind, err)
				}
				if errors.Is(err, roomtoken.ErrInvalidGrant) {
					t.Errorf("%s: %v is ErrInvalidGrant although ctx ended", kind, err)
				}
				checkErrorText(t, err)
			}
		})
	}
}

func TestRedirectsToAnyLocationAreRefused(t *testing.T) {
	var elsewhere atomic.Int64
	other := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		goodAnswer()(w, r)
	})
	host := strings.TrimPrefix(other, "http://")
	for _, location := range []string{
		other, other + "/v2?token=hunter2", "//" + host + "/hunter2", "https://" + host, "http://hunter2:hunter2@" + host,
		"/hunter2", "?hunter2", "#hunter2", "http://%zz/hunter2", "http://[::1/hunter2", ":hunter2", "http://" + host + "/%zzhunter2",
		"http://a b/hunter2", "file:///etc/hunter2", "javascript:hunter2", "\x80hunter2", "", strings.Repeat("hunter2", 10_000),
	} {
		for _, status := range []int{300, 301, 302, 303, 304, 305, 307, 308} {
			base, requests := record(t, answerWith(status, "", "Location: "+location))
			for _, client := range []*http.Client{nil, {}} {
				source := newSource(t, Config{BaseURL: base, HTTPClient: client})
				for _, kind := range bothKinds {
					_, err := source.call(t, kind)
					var apiError *APIError
					if !errors.As(err, &apiError) || apiError.StatusCode != status || errors.Is(err, roomtoken.ErrPermanent) != (kind == roomtoken.CallCreate) {
						t.Errorf("%s, %d to %.60q: got %v", kind, status, location, err)
						continue
					}
					checkErrorText(t, err)
					mustNotLeak(t, fmt.Sprintf("%v %+v %#v", err, err, *apiError), "hunter2")
				}
			}
			if n := len(requests()); n != 4 {
				t.Errorf("%d to %.60q: %d requests; want 4", status, location, n)
			}
		}
	}
	if elsewhere.Load() != 0 {
		t.Errorf("%d redirects were followed", elsewhere.Load())
	}
}
