package telnyx

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/roomtoken/roomtoken"
)

// The sentinels that say whose failure it is.
func TestPermanentFailuresMapToCredentialOrRoom(t *testing.T) {
	unauthorized, notFound, permanent := roomtoken.ErrUnauthorized, roomtoken.ErrRoomNotFound, roomtoken.ErrPermanent
	const html, text = "<html><title>404 Not Found</title></html>", "404 page not found\n"
	withCode := func(code string) string { return `{"errors":[{"code":"` + code + `","title":"T"}]}` }
	type test struct {
		status int
		body   string
		want   error // the most specific one; nil: none of the three
	}
	tests := []test{
		{401, ``, unauthorized},
		{401, html, unauthorized},
		{401, text, unauthorized},
		{401, withCode("1"), unauthorized},
		{401, withCode("10005"), unauthorized},
		{401, withCode("65001"), unauthorized},

		{404, ``, notFound},
		{404, " \r\n", notFound},
		{404, `{}`, notFound},
		{404, withCode("10005"), notFound},
		{404, withCode("10010"), notFound},
		{404, `{"message":"Error","success":false}`, notFound},
		{404, `[]`, notFound},
		{404, `null`, notFound},
		{404, html, permanent},
		{404, text, permanent},
		{404, "<", permanent},
		{404, `{"errors":[`, permanent},
		{404, withCode("10009"), unauthorized},
		{404, withCode("20013"), unauthorized},

		{400, withCode("10033"), permanent},
		{402, ``, permanent},
		{403, ``, permanent},
		{403, html, permanent},
		{403, withCode("10010"), permanent},
		{410, ``, permanent},
		{422, `{"errors":[{"code":10005}]}`, notFound},
		{422, `{"code":65001,"title":"T"}`, notFound},
		{403, `{"code":20012,"title":"T"}`, unauthorized},
		{403, withCode("010009"), permanent},
		{302, withCode("10009"), permanent},
		{307, withCode("10005"), permanent},
	}
	for _, code := range []string{"20001", "20002", "20003", "20008", "10009", "20012", "20013", "20100"} {
		tests = append(tests, test{400, withCode(code), unauthorized}, test{403, withCode(code), unauthorized}, test{422, withCode(code), unauthorized})
	}
	for _, code := range []string{"10005", "65001"} {
		tests = append(tests, test{400, withCode(code), notFound}, test{403, withCode(code), notFound}, test{422, withCode(code), notFound})
	}
	for _, status := range []int{408, 409, 429, 500, 503} {
		for _, code := range []string{"10009", "20013", "10005", "65001"} {
			tests = append(tests, test{status, withCode(code), nil})
		}
	}
	for _, test := range tests {
		base := startServer(t, answerWith(test.status, test.body))
		source := newSource(t, Config{BaseURL: base})
		_, err := source.call(t, roomtoken.CallCreate)
		for _, sentinel := range []error{unauthorized, notFound, permanent} {
			want := test.want == sentinel || test.want != nil && sentinel == permanent
			if got := errors.Is(err, sentinel); got != want {
				t.Errorf("create, %d %s: errors.Is(%v) is %v", test.status, test.body, sentinel, got)
			}
		}
		_, err = source.call(t, roomtoken.CallRefresh)
		for _, sentinel := range []error{unauthorized, notFound, permanent} {
			if errors.Is(err, sentinel) {
				t.Errorf("refresh, %d %s: got %v", test.status, test.body, sentinel)
			}
		}
		if rejected := test.want != nil && test.status >= 400; errors.Is(err, roomtoken.ErrRefreshRejected) != rejected {
			t.Errorf("refresh, %d %s: got %v; want ErrRefreshRejected: %v", test.status, test.body, err, rejected)
		}
	}
}

// A 404 whose body could not be read says nothing about the room.
func TestUnreadable404IsPermanentOnly(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"broken":    io.MultiReader(strings.NewReader(`{}`), brokenReader{}),
		"too large": strings.NewReader(strings.Repeat(" ", maxBody+1)),
	} {
		check404(t, name, &http.Response{StatusCode: 404, Header: http.Header{}, Body: io.NopCloser(body)})
	}
	check404(t, "compressed", &http.Response{
		StatusCode: 404, Header: http.Header{"Content-Encoding": {"gzip"}}, Body: io.NopCloser(strings.NewReader("\x1f\x8b")),
	})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("reset") }

func check404(t *testing.T, name string, resp *http.Response) {
	t.Helper()
	source := newSource(t, Config{HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return resp, nil })}})
	_, err := source.call(t, roomtoken.CallCreate)
	if !errors.Is(err, roomtoken.ErrPermanent) || errors.Is(err, roomtoken.ErrRoomNotFound) {
		t.Errorf("%s: got %v; want ErrPermanent only", name, err)
	}
}

// An APIError made by hand, in a user's test, counts as one with the API's own body.
func TestHandmadeAPIErrors(t *testing.T) {
	for status, want := range map[int]error{401: roomtoken.ErrUnauthorized, 404: roomtoken.ErrRoomNotFound, 403: roomtoken.ErrPermanent} {
		err := fmt.Errorf("x: %w", &APIError{Op: roomtoken.CallCreate, StatusCode: status})
		if !errors.Is(err, want) || !errors.Is(err, roomtoken.ErrPermanent) {
			t.Errorf("%d: %v is not %v", status, err, want)
		}
	}
}
