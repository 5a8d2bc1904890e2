package telnyxtest

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// credentialTTL is the lifetime of the tokens of telephony credentials.
const credentialTTL = 24 * time.Hour

// credentials are the IDs of the telephony credentials that exist; nil: all that are
// formed like one.
type credentials []string

func (c credentials) exists(id string) bool {
	if c != nil {
		return slices.Contains(c, id)
	}
	for _, b := range []byte(id) {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '_':
		default:
			return false
		}
	}
	return 1 <= len(id) && len(id) <= 64
}

// credentialToken answers a request for the token of a telephony credential. It ignores
// the body: the API document has none.
func (s *Server) credentialToken(in request, now time.Time, f Fault) (Body, *problem) {
	if !s.credentials.exists(in.Room) {
		return Body{}, refuse(http.StatusNotFound, "10005")
	}
	token, _ := s.issuer.mint(credentialToken, in.Room, now, cmp.Or(f.TokenTTL, credentialTTL))
	return RawBody("text/plain; charset=utf-8", token), nil
}
