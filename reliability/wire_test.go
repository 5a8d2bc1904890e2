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

// jwt matches tokens of either kind.
var jwt = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`)

// wireTally counts what a proxy has recorded.
type wireTally struct{ connections, creates, refreshes int }

// checkWire checks the plain HTTP traffic that a proxy has recorded: credentials must appear
// only where they belong.
func checkWire(t *testing.T, p *proxy, apiKey string) wireTally {
	t.Helper()
	var tally wireTally
	for _, c := range p.connections() {
		tally.connections++
		responses := c.recorded(down)
		if bytes.Contains(responses, []byte(apiKey)) {
			t.Error("a response contains the API key")
		}
		requests := bufio.NewReader(bytes.NewReader(c.recorded(up)))
		for {
			create, err := checkRequest(requests, apiKey)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Errorf("bad request: %v", err)
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

// checkRequest reads and checks one request. It returns io.EOF at the end and for a
// truncated request, the last one of a connection. Other errors say what is wrong with the
// request, without quoting credentials.
func checkRequest(r *bufio.Reader, apiKey string) (create bool, err error) {
	// Check the raw bytes first: a parser may ignore parts of them.
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
			return false, fmt.Errorf("refresh has an Authorization header")
		}
	default:
		if !strings.HasSuffix(header.String(), "\n") {
			return false, io.EOF // truncated in its first line
		}
		return false, fmt.Errorf("neither a create nor a refresh: %.200q", first)
	}
	if strings.Contains(first, "?") || strings.Contains(first+rest, "eyJ") {
		return create, fmt.Errorf("the header contains a token or a query")
	}
	if strings.Contains(first+rest, apiKey) {
		return create, fmt.Errorf("the header contains the API key outside Authorization")
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(header.Bytes())))
	if err != nil {
		return create, io.EOF // truncated
	}
	body, err := io.ReadAll(io.LimitReader(r, req.ContentLength))
	if bytes.Contains(body, []byte(apiKey)) {
		return create, fmt.Errorf("the body contains the API key")
	}
	if err != nil || int64(len(body)) < req.ContentLength {
		return create, io.EOF // truncated
	}
	tokens := jwt.FindAll(body, -1)
	switch {
	case create && len(tokens) > 0:
		return create, fmt.Errorf("the body of a create contains a token")
	case !create && (len(tokens) != 1 || kindOf(tokens[0]) != "refresh"):
		return create, fmt.Errorf("the body of a refresh contains %d tokens, want one refresh token", len(tokens))
	}
	return create, nil
}

// kindOf returns the typ claim of a token of the server: "access" or "refresh".
func kindOf(token []byte) string {
	var claims struct{ Typ string }
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(string(token), ".")[1])
	_ = json.Unmarshal(payload, &claims)
	return claims.Typ
}
