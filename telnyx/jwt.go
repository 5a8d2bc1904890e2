package telnyx

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
)

// jwtTimes returns the claims iat and exp (RFC 7519, 4.1) of a token that is a JWT. A
// claim that is missing or malformed is zero, and so are both of an opaque token. jwtTimes
// does not verify the signature: the token is as trustworthy as the response it came in.
func jwtTimes(token string) (iat, exp time.Time) {
	_, rest, _ := strings.Cut(token, ".")
	encoded, _, hasSignature := strings.Cut(rest, ".")
	if !hasSignature {
		return time.Time{}, time.Time{}
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return time.Time{}, time.Time{}
	}
	for name, value := range members(claims) {
		switch string(name) {
		case "iat":
			iat = numericDate(value)
		case "exp":
			exp = numericDate(value)
		}
	}
	return iat, exp
}

// numericDate returns the time of a NumericDate (RFC 7519, 2), from the year 1900 to 9999.
// It is zero for a value that is not a number.
func numericDate(encoded []byte) time.Time {
	const earliest, latest = -2208988800, 253402300799
	text := string(encoded)
	if text == "" || strings.Trim(text, "0123456789+-.eE") != "" { // ParseFloat takes Inf, hexadecimal numbers ...
		return time.Time{}
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(seconds, 0) { // out of range
		return time.Time{}
	}
	whole, fraction := math.Modf(max(earliest, min(seconds, latest)))
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC()
}

// base64URLAlphabet has the characters of base64url without padding (RFC 4648, 5).
const base64URLAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// isJWT reports whether token has the form of a signed JWT: three nonempty parts in
// base64url (RFC 7515, 3.1).
func isJWT(token string) bool {
	parts := strings.Split(token, ".")
	for _, part := range parts {
		if part == "" || len(part)%4 == 1 || strings.Trim(part, base64URLAlphabet) != "" {
			return false
		}
	}
	return len(parts) == 3
}
