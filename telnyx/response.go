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

// maxBody limits how much of a response body is read, in bytes. Good ones have about
// 2 KB.
const maxBody = 1 << 20

// readBody reads the body of resp up to maxBody bytes and closes it. It returns what it
// has read even with an error. It does not read compressed bodies, which the request did
// not ask for. Reading a body to its end lets net/http reuse the connection.
func readBody(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	if resp.StatusCode < 200 || contentEncoding(resp.Header) != "" {
		return nil, nil // the body of a 101 is an endless stream
	}
	size := int64(bytes.MinRead) // what ReadFrom needs to detect the end without growing
	if 0 < resp.ContentLength && resp.ContentLength <= maxBody {
		size += resp.ContentLength
	}
	buf := bytes.NewBuffer(make([]byte, 0, size))
	_, err := buf.ReadFrom(io.LimitReader(resp.Body, maxBody+1))
	if buf.Len() > maxBody {
		return buf.Bytes()[:maxBody], errors.New("the body is larger than 1 MiB")
	}
	if err != nil {
		err = fmt.Errorf("after %d bytes of the body: %w", buf.Len(), err)
	}
	return buf.Bytes(), err
}

// answer is the "data" object of a success, for both pairs of endpoints. A field of the
// wrong type does not keep the other fields from being decoded.
type answer struct {
	Token                 field `json:"token"`
	TokenExpiresAt        field `json:"token_expires_at"`
	AccessToken           field `json:"access_token"`
	AccessTokenExpiresAt  field `json:"access_token_expires_at"`
	RefreshToken          field `json:"refresh_token"`
	RefreshTokenExpiresAt field `json:"refresh_token_expires_at"`
}

// field is the JSON value of a member. It keeps the value of a string, but only the type
// of any other value, which may be large.
type field struct {
	text  string
	first byte // the first byte of the encoded value; 0: the member is missing
	again bool // the member occurs more than once: decoders disagree on which one counts
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
	f.text = string(inside) // without escapes, as all tokens and times are
	return nil
}

// value returns the string in f. Its errors complete a sentence that begins with the name
// of the field. They do not quote the value, which may be a credential.
func (f field) value() (string, error) {
	switch {
	case f.again:
		return "", errors.New("occurs more than once")
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

// decodeAnswer decodes the body of a success. It ignores unknown fields, which real
// responses have.
func decodeAnswer(c call, header http.Header, body []byte) (*answer, error) {
	if encoding := contentEncoding(header); encoding != "" {
		return nil, c.failGrant("the body is compressed (%s), which the request did not ask for", c.clean(encoding, maxServerText))
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
			return nil, c.failGrant("the body does not have the form {\"data\":{...}}")
		}
		return nil, c.failGrant("the body is not JSON: %s", c.clean(err.Error(), maxServerText))
	}
	if document.Data == nil {
		return nil, c.failGrant("the body has no \"data\"")
	}
	return document.Data, nil
}

// contentEncoding returns the Content-Encoding of a response (RFC 9110, 8.4), or "" if the
// body is not encoded.
func contentEncoding(header http.Header) string {
	encoding := header.Get("Content-Encoding")
	if strings.EqualFold(encoding, "identity") {
		return ""
	}
	return encoding
}

// mayBeJSON reports whether a body of this Content-Type may be JSON. It accepts a missing
// type, and text/plain, which servers send by default.
func mayBeJSON(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	switch mediaType {
	case "", "application/json", "text/json", "text/plain":
		return true
	}
	return strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json") // RFC 6839, 3.1
}
