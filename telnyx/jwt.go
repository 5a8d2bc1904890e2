package telnyx

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxJWTClaims bounds the claims that are looked at, in bytes of base64url.
// Telnyx's have about 500.
const maxJWTClaims = 16 << 10

// jwtLifetime returns exp less iat of a token that is a JWT (RFC 7519, 4.1). The
// signature is not looked at: the token came from the same answer as everything
// else. A token is opaque otherwise, so one without these claims, or with an end
// before its beginning, is no error but just has no lifetime to tell.
func jwtLifetime(token string) (time.Duration, bool) {
	_, rest, _ := strings.Cut(token, ".")
	encoded, _, ok := strings.Cut(rest, ".")
	if !ok || len(encoded) > maxJWTClaims {
		return 0, false
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return 0, false
	}
	issued, expires := numericClaims(claims)
	seconds := expires - issued
	if !(seconds > 0) { // NaN, where one is missing, fails too
		return 0, false
	}
	const aLongTime = 1e9 // seconds; not many more fit a Duration
	return time.Duration(min(seconds, aLongTime) * float64(time.Second)), true
}

// numericClaims returns the members iat and exp of a JSON object, NaN for one
// that is missing or no number. Of an object that is not well-formed it returns
// what it finds, which is harmless: a lifetime is only ever shortened by it.
//
// With encoding/json the two tokens of an answer would make up a quarter of what
// a whole Create costs.
func numericClaims(object []byte) (iat, exp float64) {
	iat, exp = math.NaN(), math.NaN()
	for depth := 0; len(object) > 0; {
		char := object[0]
		object = object[1:]
		switch char {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			var text []byte
			text, object = cutString(object)
			value, isName := bytes.CutPrefix(trimSpace(object), []byte(":"))
			switch {
			case depth != 1 || !isName:
			case string(text) == "iat":
				iat = leadingNumber(value)
			case string(text) == "exp":
				exp = leadingNumber(value)
			}
		}
	}
	return iat, exp
}

// cutString returns the JSON string that text goes on with, as it is spelt, and
// what stands behind its closing quote.
func cutString(text []byte) (inside, after []byte) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[:i], text[i+1:]
		}
	}
	return text, nil
}

// leadingNumber returns the number that text begins with, NaN if none.
func leadingNumber(text []byte) float64 {
	text = trimSpace(text)
	end := 0
	for end < len(text) && strings.IndexByte("+-.0123456789eE", text[end]) >= 0 {
		end++
	}
	number, err := strconv.ParseFloat(string(text[:end]), 64)
	if err != nil {
		return math.NaN()
	}
	return number
}

// trimSpace removes what JSON takes for white space from the beginning of text.
func trimSpace(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }
