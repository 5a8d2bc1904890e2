package telnyx

import (
	"encoding/json"
	"errors"
	"strings"
)

// answer is the "data" object of a success, for both pairs of endpoints. A field of the
// wrong type does not keep the other fields from being decoded.
type answer struct {
	token, tokenExpiresAt               field
	accessToken, accessTokenExpiresAt   field
	refreshToken, refreshTokenExpiresAt field
}

// field returns the field for a member of the object, or nil for an unknown member.
func (a *answer) field(name []byte) *field {
	switch string(name) {
	case "token":
		return &a.token
	case "token_expires_at":
		return &a.tokenExpiresAt
	case "access_token":
		return &a.accessToken
	case "access_token_expires_at":
		return &a.accessTokenExpiresAt
	case "refresh_token":
		return &a.refreshToken
	case "refresh_token_expires_at":
		return &a.refreshTokenExpiresAt
	}
	return nil
}

// field is the JSON value of a member. It keeps the value of a string, but only the type
// of any other value, which may be large.
type field struct {
	text  string
	first byte // the first byte of the encoded value; 0: the member is missing
	again bool // the member occurs more than once: decoders disagree on which one counts
}

// set decodes a valid JSON value.
func (f *field) set(encoded []byte) {
	if f.first != 0 {
		f.again = true
		return
	}
	f.first = encoded[0]
	if f.first != '"' {
		return
	}
	inside := encoded[1 : len(encoded)-1]
	for _, char := range inside {
		if char == '\\' || isNotTokenChar(rune(char)) {
			_ = json.Unmarshal(encoded, &f.text) // cannot fail
			return
		}
	}
	f.text = string(inside) // without escapes, as all tokens and times are
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
// responses have, and which may differ from a known one in case only.
func decodeAnswer(c call, resp *response) (*answer, error) {
	if !mayBeJSON(mediaType(resp.header)) {
		return nil, c.failGrant("the body is %s, not JSON; is there a proxy in front of the API?", c.clean(resp.header.Get("Content-Type"), maxServerText))
	}
	document := resp.body
	if !json.Valid(document) {
		err := json.Unmarshal(document, new(json.RawMessage)) // says why
		return nil, c.failGrant("the body is not JSON: %s", c.clean(err.Error(), maxServerText))
	}
	var data field
	a := new(answer)
	for name, value := range members(document) {
		if string(name) != "data" {
			continue
		}
		data.set(value)
		for name, value := range members(value) {
			if f := a.field(name); f != nil {
				f.set(value)
			}
		}
	}
	switch {
	case data.again:
		return nil, c.failGrant("\"data\" occurs more than once")
	case data.first == '{':
		return a, nil
	case data.first == 'n', data.first == 0 && strings.IndexByte("{n", trimSpace(document)[0]) >= 0: // an object, or null
		return nil, c.failGrant("the body has no \"data\"")
	}
	return nil, c.failGrant("the body does not have the form {\"data\":{...}}")
}

// mayBeJSON reports whether a body of this media type may be JSON. It accepts a missing
// type, and text/plain, which servers send by default.
func mayBeJSON(mediaType string) bool {
	switch mediaType {
	case "", "application/json", "text/json", "text/plain":
		return true
	}
	return strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json") // RFC 6839, 3.1
}
