package jwt

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The claims and the sizes are those of the examples in the API document.
func TestNew(t *testing.T) {
	const room = "9e2a0cbe-ce66-411e-a1ac-468f0b103c9a"
	issued := time.Unix(1619093695, 0)
	for _, test := range []struct {
		typ      string
		lifetime time.Duration
		size     int
	}{{Access, 600 * time.Second, 627}, {Refresh, 10 * time.Second, 629}} {
		expires := issued.Add(test.lifetime)
		token := New(test.typ, room, issued, expires)
		if len(token) != test.size {
			t.Errorf("%s: %d bytes, want %d", test.typ, len(token), test.size)
		}
		if New(test.typ, room, issued, expires) == token {
			t.Errorf("%s: two tokens are alike", test.typ)
		}
		var parts []string
		for part := range strings.SplitSeq(token, ".") {
			text, err := base64.RawURLEncoding.Strict().DecodeString(part)
			if err != nil {
				t.Errorf("%s: %v", test.typ, err)
			}
			parts = append(parts, string(text))
		}
		claims := fmt.Sprintf(`^{"aud":"telnyx_access_token","exp":%d,"grants":\[{"actions":\["join"\],`+
			`"resources":\["telnyx:video:rooms:%s"\],"subjects":\["telnyx:users:[0-9a-f-]{36}"\]}\],`+
			`"grants_version":"1.0.0","iat":1619093695,"iss":"telnyx_access_token",`+
			`"jti":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}","nbf":1619093694,"sub":"null","typ":"%s"}$`,
			expires.Unix(), room, test.typ)
		if len(parts) != 3 || parts[0] != `{"alg":"Ed25519","typ":"JWT"}` || !regexp.MustCompile(claims).MatchString(parts[1]) || len(parts[2]) != 64 {
			t.Errorf("%s: the parts are %q", test.typ, parts)
		}
	}
}

func TestNewAllocatesTheTokenOnly(t *testing.T) {
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { New(Access, "", now, now) }); n != 1 {
		t.Errorf("%v allocations", n)
	}
}
