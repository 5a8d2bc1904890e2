package telnyx

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxJWTClaims limits the size of the claims that are decoded, in bytes of base64url.
// Telnyx's have about 500.
const maxJWTClaims = 16 << 10

// jwtLifetime returns exp minus iat (RFC 7519, 4.1) of a token that is a JWT. ok is false
// if the token is not a JWT, lacks one of the claims, or has exp <= iat; a token may be
// opaque, so none of this is an error. jwtLifetime does not verify the signature: the
// token is as trustworthy as the response it came in.
func jwtLifetime(token string) (lifetime time.Duration, ok bool) {
	_, rest, _ := strings.Cut(token, ".")
	encoded, _, hasSignature := strings.Cut(rest, ".")
	if !hasSignature || len(encoded) > maxJWTClaims {
		return 0, false
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return 0, false
	}
	issued, expires := numericClaims(claims)
	seconds := expires - issued
	if !(seconds > 0) { // also true for NaN: a claim is missing
		return 0, false
	}
	const longest = 1e9 // seconds; the maximum of a Duration is about 9.2e9
	return time.Duration(min(seconds, longest) * float64(time.Second)), true
}

// numericClaims returns the members iat and exp of a JSON object, or NaN for one that is
// missing or not a number. For malformed JSON it returns what it finds, which is
// harmless: the result can only shorten a lifetime.
//
// It replaces encoding/json, which would take a quarter of the CPU time of a Create for
// the two tokens of a response.
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

// cutString splits text, which follows an opening quote, at the closing quote. It does not
// decode escapes.
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

// leadingNumber returns the number at the beginning of text, or NaN if there is none.
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

// trimSpace removes leading JSON white space.
func trimSpace(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }
