package reliability_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// jwt is what a token looks like, whichever kind.
var jwt = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`)

// wireTally is what the tapes of a proxy have shown.
type wireTally struct{ connections, creates, refreshes int }

// checkWire reads the tapes of a proxy that carried plain HTTP: every secret is
// where it belongs.
func checkWire(t *testing.T, p *proxy, apiKey string) wireTally {
	t.Helper()
	var tally wireTally
	for _, c := range p.connections() {
		tally.connections++
		answers := c.sent(down)
		if bytes.Contains(answers, []byte(apiKey)) {
			t.Error("the API key is in an answer")
		}
		requests := bufio.NewReader(bytes.NewReader(c.sent(up)))
		for {
			create, err := checkRequest(requests, apiKey)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Errorf("on the wire: %v", err)
				break
			}
			if create {
				tally.creates++
			} else {
				tally.refreshes++
			}
		}
	}
	return tally
}

// checkRequest reads a request, the last of which may have been cut. The error
// says what is in it that should not be, without quoting it.
func checkRequest(r *bufio.Reader, apiKey string) (create bool, err error) {
	// As bytes first: what the parser does not understand could be anywhere.
	var header bytes.Buffer
	for {
		line, err := r.ReadBytes('\n')
		header.Write(line)
		if err == io.EOF {
			if header.Len() == 0 {
				return false, io.EOF
			}
			break
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	first, rest, _ := strings.Cut(header.String(), "\r\n")
	switch {
	case strings.Contains(first, "/actions/generate_join_client_token "):
		create = true
		if want := "Authorization: Bearer " + apiKey + "\r\n"; strings.Contains(rest, want) {
			rest = strings.Replace(rest, want, "", 1)
		}
	case strings.Contains(first, "/actions/refresh_client_token "):
		if strings.Contains(rest, "Authorization") {
			return false, fmt.Errorf("a refresh with authorization")
		}
	default:
		if !strings.HasSuffix(header.String(), "\n") {
			return false, io.EOF // cut in its first line
		}
		return false, fmt.Errorf("a request that is neither of the two: %.200q", first)
	}
	if strings.Contains(first, "?") || strings.Contains(first+rest, "eyJ") {
		return create, fmt.Errorf("a token, or a query, in a request's header")
	}
	if strings.Contains(first+rest, apiKey) {
		return create, fmt.Errorf("the API key in a place of its own in a request's header")
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(header.Bytes())))
	if err != nil {
		return create, io.EOF // cut
	}
	body, err := io.ReadAll(io.LimitReader(r, req.ContentLength))
	if bytes.Contains(body, []byte(apiKey)) {
		return create, fmt.Errorf("the API key in a body")
	}
	if err != nil || int64(len(body)) < req.ContentLength {
		return create, io.EOF // cut
	}
	tokens := jwt.FindAll(body, -1)
	switch {
	case create && len(tokens) > 0:
		return create, fmt.Errorf("a token in the body of a create")
	case !create && (len(tokens) != 1 || kindOf(tokens[0]) != "refresh"):
		return create, fmt.Errorf("a refresh with %d tokens, want one refresh token", len(tokens))
	}
	return create, nil
}

// kindOf returns the kind of a JWT of the server: "access" or "refresh".
func kindOf(token []byte) string {
	var claims struct{ Typ string }
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(string(token), ".")[1])
	_ = json.Unmarshal(payload, &claims)
	return claims.Typ
}
