package telnyx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxBody bounds how much of an answer is read. A good one has about 2 KB.
const maxBody = 1 << 20

// readBody reads the body of resp up to maxBody and closes it. What it read is
// returned even with an error. A body that was read to its end leaves the
// connection to the next request.
func readBody(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	if resp.StatusCode < 200 {
		return nil, nil // 101: a stream without an end, not a body
	}
	size := int64(bytes.MinRead) // so much room ReadFrom wants to find the end
	if 0 < resp.ContentLength && resp.ContentLength <= maxBody {
		size += resp.ContentLength
	}
	buf := bytes.NewBuffer(make([]byte, 0, size))
	_, err := buf.ReadFrom(io.LimitReader(resp.Body, maxBody+1))
	if buf.Len() > maxBody {
		return buf.Bytes()[:maxBody], errors.New("it is larger than 1 MiB")
	}
	if err != nil {
		err = fmt.Errorf("it broke off after %d bytes: %w", buf.Len(), err)
	}
	return buf.Bytes(), err
}

// answer is a success of either pair of endpoints. Its fields are what they are,
// so that one of a wrong type spoils neither the others nor the error.
type answer struct {
	Token                 field `json:"token"`
	TokenExpiresAt        field `json:"token_expires_at"`
	AccessToken           field `json:"access_token"`
	AccessTokenExpiresAt  field `json:"access_token_expires_at"`
	RefreshToken          field `json:"refresh_token"`
	RefreshTokenExpiresAt field `json:"refresh_token_expires_at"`
}

// field is the JSON value of a member: a string is kept, of anything else only
// what it was, so that it costs no memory.
type field struct {
	text  string
	first byte // of the value as it is spelt; 0: there is none
	again bool // the member is there more than once, and readers differ in which counts
}

// UnmarshalJSON never fails.
func (f *field) UnmarshalJSON(data []byte) error {
	if f.first != 0 {
		f.again = true
		return nil
	}
	f.first = data[0]
	if f.first != '"' {
		return nil
	}
	inside := data[1 : len(data)-1]
	for _, char := range inside {
		if char == '\\' || isNotTokenChar(rune(char)) {
			return json.Unmarshal(data, &f.text)
		}
	}
	f.text = string(inside) // as all tokens and times are
	return nil
}

// value returns the string that f is. Its errors stand behind the name of the
// field and quote nothing: what is in the wrong field may be a credential.
func (f field) value() (string, error) {
	switch {
	case f.again:
		return "", errors.New("is there more than once")
	case f.first == 0, f.first == 'n':
		return "", errors.New("is missing")
	case f.first == 't', f.first == 'f':
		return "", errors.New("is a boolean, not a string")
	case f.first == '[':
		return "", errors.New("is an array, not a string")
	case f.first == '{':
		return "", errors.New("is an object, not a string")
	case f.first != '"':
		return "", errors.New("is a number, not a string")
	}
	return f.text, nil
}

// decodeAnswer returns what a success holds. Unknown fields are ignored: real
// answers have some.
func decodeAnswer(c call, header http.Header, body []byte) (*answer, error) {
	if encoding := contentEncoding(header); encoding != "" {
		return nil, c.failGrant("the body is compressed (%s), which was not asked for", c.clean(encoding, maxServerText))
	}
	if contentType := header.Get("Content-Type"); !mayBeJSON(contentType) {
		return nil, c.failGrant("the body is %s, not JSON; is there a proxy in front of the API?", c.clean(contentType, maxServerText))
	}
	if len(body) == 0 {
		return nil, c.failGrant("the body is empty")
	}
	var document struct {
		Data *answer `json:"data"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		if wrongType := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrongType) {
			return nil, c.failGrant("the body has another shape than {\"data\":{...}}")
		}
		return nil, c.failGrant("the body is no JSON: %s", c.clean(err.Error(), maxServerText))
	}
	if document.Data == nil {
		return nil, c.failGrant("the body has no \"data\"")
	}
	return document.Data, nil
}

// contentEncoding is how a body is compressed, "" if it is not.
func contentEncoding(header http.Header) string {
	encoding := header.Get("Content-Encoding")
	if strings.EqualFold(encoding, "identity") {
		return ""
	}
	return encoding
}

// mayBeJSON reports whether a body of this type is worth decoding. Without a type
// it is, and as text/plain too: that is what servers call a body that they were
// told nothing about.
func mayBeJSON(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	switch mediaType {
	case "", "application/json", "text/json", "text/plain":
		return true
	}
	return strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json") // RFC 6839, 3.1
}
